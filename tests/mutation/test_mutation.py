"""Nothing passes that does not hold, as far as a few changed clauses and patterns tell."""

from __future__ import annotations

import pytest

from tests.mutation.additions import additions
from tests.mutation.claims import claims
from tests.mutation.conditions import conditions
from tests.mutation.faults import faults
from tests.mutation.search import clauses, patterns


@pytest.mark.slow
def test_a_changed_clause_passes_only_where_it_holds() -> None:
    tally = clauses(seed=0, count=400)
    assert tally.wrong == []
    assert tally.false > 200


@pytest.mark.slow
def test_a_pattern_matches_only_where_it_can_be_laid_over_all_that_came() -> None:
    tally = patterns(seed=0, count=4000)
    assert tally.wrong == []
    assert 500 < tally.false < 3500


@pytest.mark.slow
def test_a_clause_with_conditions_is_in_each_case_what_is_left_of_it() -> None:
    tally = conditions(seed=0, count=330)
    assert tally.wrong == []
    assert tally.tried > 80
    assert tally.false > 15


@pytest.mark.slow
def test_one_fault_draws_one_kind_of_error() -> None:
    tally = faults(seed=0, count=300)
    assert tally.wrong == []
    assert tally.false > 200


@pytest.mark.slow
def test_nothing_that_a_scenario_claims_can_be_changed_and_pass() -> None:
    tally = claims(seed=0, count=40)
    assert tally.wrong == []
    assert tally.false > 60


@pytest.mark.slow
def test_nothing_that_is_false_impossible_or_empty_can_be_added_and_pass() -> None:
    tally = additions(seed=0, count=40)
    assert tally.wrong == []
    assert tally.false > 30

"""What the shipped scenarios expect is what real kernels gave: no machine runs in these tests."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import pytest
from vcpu_scenario.language import Scenario

from tests.scenarios.recordings import (
    Pair,
    cases_as_recorded,
    core_jobs,
    differences,
    from_recordings,
    judged,
    named_jobs,
    pairs,
    recorded_jobs,
    trace_of,
)

pytestmark = pytest.mark.slow

EACH = pytest.mark.parametrize("scenario", from_recordings(), ids=lambda scenario: scenario.name)


def test_every_core_job_is_shipped_for_every_kernel_it_was_recorded_on() -> None:
    shipped = {
        (pair.job.name, pair.case.kernel)
        for scenario in from_recordings()
        for pair in pairs(scenario)
    }
    recorded = {
        (job.name, kernel)
        for job in core_jobs()
        for trace in job.traces
        for kernel in trace.kernels
    }
    assert len(core_jobs()) == 52
    assert recorded - shipped == set()


@EACH
def test_the_jobs_that_an_origin_names_were_recorded(scenario: Scenario) -> None:
    assert set(named_jobs(scenario)) <= set(recorded_jobs())


@EACH
def test_a_scenario_runs_what_the_job_of_its_origin_ran(scenario: Scenario) -> None:
    matched = {pair.case.id for pair in pairs(scenario)}
    for case in cases_as_recorded(scenario):
        parted = {name: differences(case, recorded_jobs()[name]) for name in named_jobs(scenario)}
        assert case.id in matched, f"{case.id} is none of its origin's jobs: {parted}"
    assert {pair.job.name for pair in pairs(scenario)} == set(named_jobs(scenario))


@EACH
def test_an_expectation_is_what_the_kernels_gave(scenario: Scenario) -> None:
    for pair in pairs(scenario):
        mismatches = judged(pair.case, trace_of(pair))
        assert not mismatches, f"{pair.case.id}: {[one.message for one in mismatches]}"


@EACH
def test_no_two_clauses_are_for_the_same_behaviour(scenario: Scenario) -> None:
    """Of two clauses for the same run, one at least is broken by what the other's kernels gave."""
    alike = defaultdict[tuple[str, str], list[Pair]](list)
    for pair in pairs(scenario):
        alike[(pair.job.name, pair.case.vmm)].append(pair)
    for group in alike.values():
        by_clause: dict[object, Pair] = {}
        for pair in group:
            assert pair.case.expectation is not None
            by_clause.setdefault(pair.case.expectation.span, pair)
        for one, other in combinations(by_clause.values(), 2):
            assert judged(one.case, trace_of(other)) or judged(other.case, trace_of(one)), (
                f"{one.case.id} and {other.case.id} are held to the same"
            )

"""What a mismatch is about, and what became of a case: words of reports with their meaning."""

from __future__ import annotations

import json

from vcpu_scenario.verdict.records import Kind
from vcpu_scenario.verdict.result import Verdict


def test_a_report_has_the_word_itself() -> None:
    assert (
        json.dumps([Kind.OUT_OF_ORDER, Verdict.NOT_MODELLED]) == '["out of order", "not-modelled"]'
    )
    assert f"{Kind.OUT_OF_ORDER}, {Verdict.NOT_MODELLED!r}" == "out of order, 'not-modelled'"


def test_the_exit_of_a_mismatch_of_stops_counts_stops() -> None:
    assert {kind for kind in Kind if kind.is_of_stops} == {"stop", "extra stop", "missing stop"}


def test_a_mismatch_of_the_final_state_is_one_of_a_value() -> None:
    final = {"final register", "register list", "memory", "eventfd", "ring", "output"}
    assert {kind for kind in Kind if kind.is_final} == final
    assert {kind for kind in Kind if kind.is_value} == final | {"field", "register"}


def test_a_run_with_a_case_that_is_bad_is_no_success() -> None:
    assert {verdict for verdict in Verdict if verdict.is_bad} == {"fail", "error", "not-modelled"}


def test_what_did_not_run_is_not_judged() -> None:
    assert {verdict for verdict in Verdict if not verdict.is_judged} == {"skip", "error"}

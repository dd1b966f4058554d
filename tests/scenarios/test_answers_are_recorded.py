"""What rules/hypercall-answers expects is what recorded kernels answered.

The jobs made each call in a guest of their own, stepped, with x1 to x3 zero; the scenario makes it
unstepped, with marks in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from vcpu_scenario.language import Scenario, ScenarioCase
from vcpu_scenario.recordings.jobs import RecordedTrace

from tests.scenarios.recordings import recorded_jobs, shipped

JOBS: Final = {
    "psci-version": "psci-version-step",
    "smccc-version": "psci-smccc_version-step",
    "smccc-features-of-nothing": "psci-arch_features-step",
    "smccc-workaround-1": "psci-wa1-step",
    "vendor-uid": "psci-vendor_uid-step",
    "trng-version": "psci-trng-step",
    "unknown": "psci-unknown_fast-step",
}
SWEPT: Final = {
    "smccc-workaround-2",
    "smccc-workaround-3",
    "smccc-features-of-pv-time",
    "vendor-features",
    "trng-features",
    "trng-uuid",
}
"""Calls that no job makes: they were read from Debian's 5.10.223, 6.12.118 and 7.2.13."""
AFTER_CALL: Final = (0x4000_0010, 0x4000_0014)
"""pc where the step over the call ends, or that over the instruction after it as well."""
MARKS: Final = {"x2": 0x22, "x3": 0x33}


def scenario() -> Scenario:
    return next(found for found in shipped() if found.name == "rules/hypercall-answers")


def answered(trace: RecordedTrace) -> Mapping[str, int]:
    """x0 to x3 after the call."""
    registers: dict[str, int] = {}
    for exit_ in trace.trace.exits:
        registers |= exit_.regs
        if exit_.pc in AFTER_CALL:
            return registers
    raise AssertionError("the job never got past its call")


def recorded_cases(call: str) -> Iterator[tuple[ScenarioCase, RecordedTrace]]:
    for trace in recorded_jobs()[JOBS[call]].traces:
        for case in scenario().cases(trace.kernels):
            if case.params["call"] == call:
                yield case, trace


@pytest.mark.slow
@pytest.mark.parametrize("call", JOBS)
def test_the_answer_is_the_recorded_one(call: str) -> None:
    found = list(recorded_cases(call))
    assert len({case.kernel for case, _ in found}) > 10
    for case, trace in found:
        assert case.expectation is not None
        expected = {f"x{int(c.reg[1:]) - 19}": c.value for c in case.expectation.final.regs}
        assert set(expected) == {"x0", "x1", "x2", "x3"}
        kept = {reg for reg, mark in MARKS.items() if expected[reg] == mark}
        recorded = answered(trace)
        for reg, value in expected.items():
            assert recorded[reg] == (0 if reg in kept else value), f"{case.id}: {reg}"


def test_every_call_is_recorded_or_of_a_function_that_came_later() -> None:
    calls = {case.params["call"] for case in scenario().cases(["7.3"])}
    assert {
        call for call in calls - set(JOBS) - SWEPT if "psci-features-of" not in str(call)
    } == set()

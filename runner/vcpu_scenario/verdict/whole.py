"""Whether a run came to its end: of one that was cut, what is expected holds of a part alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcpu_scenario.case import ImmediateExit, PendSignal
from vcpu_scenario.expectation import Expectation
from vcpu_scenario.expectation import Final as FinalState
from vcpu_scenario.trace import Ending, Trace, observed
from vcpu_scenario.verdict import match
from vcpu_scenario.verdict.records import Kind, Mismatch

_SAY_HOW_LONG: Final = "say how many exits it may have: `limits: {exits: 1000}`"
_EXPECT_IT: Final = "expect it, `interrupted: {}`, or give `limits.instructions` a larger number"
_EXPECT_THE_ERROR: Final = (
    "expect it, `exits: [error: {}]`, or say `limits: {exits: 1}` if it is no matter"
)
_INTERRUPTIONS: Final = ("interrupted", "error")


def cut_unasked(expectation: Expectation, trace: Trace, ending: str) -> Iterator[Mismatch]:
    """That a limit which nobody set ended the run, or that the guest hung or KVM_RUN failed where
    nobody expects it; ``ending`` says in words how it ended."""
    if trace.ended is Ending.EXIT_LIMIT and expectation.to_its_end:
        help_ = _SAY_HOW_LONG
    elif trace.ended is Ending.ERROR and expectation.to_its_end and expectation.exits is None:
        help_ = _EXPECT_THE_ERROR
    elif trace.ended is Ending.INTERRUPTED and not _is_expected(expectation, trace):
        help_ = _EXPECT_IT
    else:
        return
    notes = ("what is expected was compared with a part of the run alone", help_)
    yield Mismatch(Kind.CUT, ending, expectation.span, exit=len(trace.exits) - 1, notes=notes)


def is_asked_for(trace: Trace) -> bool:
    """Whether the VMM itself had the last run interrupted."""
    did = trace.entries[-1].did if trace.entries else ()
    return any(isinstance(deed, ImmediateExit | PendSignal) for deed in did)


def _looks_at_the_run(expectation: Expectation) -> bool:
    """Whether it speaks of what a run does; of ``stops`` alone it does not: of a guest that is
    lost its debugger is told no more."""
    of_run = expectation.exits is not None or expectation.never or expectation.final != FinalState()
    return bool(of_run)


def _is_expected(expectation: Expectation, trace: Trace) -> bool:
    if is_asked_for(trace) or not _looks_at_the_run(expectation):
        return True
    last, state = trace.exits[-1], observed(trace.exits)[-1]
    return any(
        item.kind in _INTERRUPTIONS and not match.cost(item, last, state)
        for item in expectation.exits or ()
    )

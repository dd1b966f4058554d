"""What the VMM was to do and did not, because the run had ended, is a failure that says so."""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Limits
from vcpu_scenario.expectation import Acting
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.verdict.judge import judge
from vcpu_scenario.verdict.records import Kind, Mismatch

from .build import GUEST, clause, has_read, span, stepped

EXITS = (stepped("poll"), has_read("poll"), stepped("next"))


ENDS = [Ending.INTERRUPTED, Ending.ERROR, Ending.SYSTEM_EVENT, Ending.REPEATS]


def undone(ended: Ending, *exits: int) -> list[Mismatch]:
    acting = tuple(Acting(exit_, span(exit_)) for exit_ in exits)
    found = judge(clause(acting=acting), Trace(EXITS, ended=ended), (), GUEST, Limits(exits=9))
    return [mismatch for mismatch in found if mismatch.kind is not Kind.CUT]


@pytest.mark.parametrize("ended", [Ending.EXIT_LIMIT, *ENDS])
def test_what_was_done_is_no_failure(ended: Ending) -> None:
    assert undone(ended, 0, 1) == []


@pytest.mark.parametrize("ended", ENDS)
def test_nothing_is_done_at_the_exit_that_ends_the_run(ended: Ending) -> None:
    (found,) = undone(ended, 1, 2)
    assert found.kind == "not done"
    assert found.message == "not done: what the VMM does after exit 2"
    assert found.notes[0] == "exit 2 ended the run"
    assert found.span == span(2)


def test_nothing_is_done_at_an_exit_that_never_came() -> None:
    (found,) = undone(Ending.EXIT_LIMIT, 0, 5)
    assert found.notes == ("exit 5 never came", "the run was cut at its limit of 9 exits")


def test_an_action_at_many_exits_is_told_once() -> None:
    acting = tuple(Acting(exit_, span(1)) for exit_ in range(2, 7))
    trace = Trace(EXITS, ended=Ending.INTERRUPTED)
    (found,) = judge(clause(acting=acting), trace, (), GUEST)
    assert found.message == "not done: what the VMM does after exit 2 and 4 more"


def test_what_the_kernel_refused_is_told_as_such_alone() -> None:
    trace = Trace(EXITS, ended=Ending.REFUSED, refused="KVM_SET_ONE_REG")
    found = judge(clause(acting=(Acting(2, span(2)),)), trace, (), GUEST, Limits(exits=9))
    assert [one.kind for one in found] == ["refused"]

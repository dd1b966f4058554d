"""Long runs are held to all of what is expected, and fail where it cannot be said in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from vcpu_scenario.case import Limits
from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.trace import Ending, Exit, Stop, StopReason, Trace
from vcpu_scenario.verdict.exits import can_begin
from vcpu_scenario.verdict.judge import judge
from vcpu_scenario.verdict.records import Mismatch
from vcpu_scenario.verdict.stops import compare_stops

from .build import (
    BRK_7,
    GUEST,
    SYMBOLS,
    clause,
    expected,
    has_read,
    read,
    span,
    stepped,
    stop,
    wanted_stop,
)

LONG = 20_000
POLL = has_read("poll")
HIT = stepped("done", BRK_7)


def brk(line: int = 2) -> ExpectedExit:
    return expected(line, exit="DEBUG", pc=SYMBOLS["done"], hsr=BRK_7)


def anything(least: int = 0, most: int | None = None) -> ExpectedExit:
    return expected(1, least, most)


def judged(pattern: Sequence[ExpectedExit], exits: Sequence[Exit]) -> tuple[Mismatch, ...]:
    trace = Trace(tuple(exits), ended=Ending.EXIT_LIMIT)
    return judge(clause(pattern), trace, (), GUEST, Limits(exits=len(exits)))


@pytest.mark.parametrize(
    "pattern",
    [
        (read(1, "poll", least=LONG - 1, most=LONG - 1), brk()),
        (read(1, "poll", least=1, most=None), brk()),
        (read(1, "poll", least=1, most=LONG), brk()),
        (anything(), brk()),
        (anything(), read(1, "poll", least=1, most=LONG), anything(0, LONG), brk()),
        (*(anything(), read(1, "poll", least=1, most=1000)) * 100, brk()),
        (read(1, "poll", least=9_000, most=9_000), read(1, "poll", least=2, most=None), brk()),
    ],
)
def test_a_long_run_of_one_exit_fits_its_repeats(pattern: tuple[ExpectedExit, ...]) -> None:
    assert judged(pattern, [POLL] * (LONG - 1) + [HIT]) == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        (read(1, "poll", least=LONG, most=LONG),),
        (read(1, "poll", least=LONG - 2, most=LONG - 2), brk()),
        (read(1, "poll", least=1, most=LONG - 2), brk()),
        (read(1, "poll", least=1, most=None), brk(), brk()),
        (read(1, "poll", least=1, most=LONG), expected(2, exit="MMIO", len=8), brk()),
        (anything(), expected(2, exit="SYSTEM_EVENT")),
        (anything(), read(1, "poll", least=LONG, most=None), anything()),
    ],
)
def test_a_long_run_with_one_exit_too_few_or_too_many_fails(
    pattern: tuple[ExpectedExit, ...],
) -> None:
    assert judged(pattern, [POLL] * (LONG - 1) + [HIT])


def numbered(count: int) -> list[Exit]:
    fields = ({"addr": n, "len": 4, "is_write": 0} for n in range(count))
    return [Exit("MMIO", 0, 0, SYMBOLS["poll"], each, {}) for each in fields]


def each(count: int, **more: Any) -> list[ExpectedExit]:
    return [expected(1, exit="MMIO", addr=n, **more) for n in range(count)]


@pytest.mark.slow
def test_100_000_exits_are_one_run_like_any_other() -> None:
    assert judged((read(1, "poll", least=1, most=None), brk()), [POLL] * 99_999 + [HIT]) == ()


def test_a_long_run_that_was_not_modelled_to_its_end_is_held_to_its_beginning() -> None:
    exits = [POLL] * (LONG - 1) + [HIT]
    some = read(1, "poll", least=1, most=300)
    for item, all_fit in ((anything(), True), (anything(0, 200), True), (some, False)):
        many = [item] * 200
        assert can_begin([*many, brk(), brk()], exits)
        assert can_begin([*many, *each(2), brk()], exits) is all_fit
    assert not can_begin([read(1, "poll", least=1, most=9)] * 9, exits)
    assert not can_begin([], exits)
    assert can_begin([], [])


@pytest.mark.slow
def test_many_different_exits_are_all_compared() -> None:
    pattern = each(3000)
    assert judged(pattern, numbered(3000)) == ()
    assert judged([anything(), *pattern], numbered(3000)) == ()
    pattern[1500], pattern[1501] = pattern[1501], pattern[1500]
    (found,) = judged(pattern, numbered(3000))
    assert found.kind == "out of order"
    assert found.exit == 1501


@pytest.mark.slow
def test_an_explanation_that_is_cut_says_so() -> None:
    found = judged(each(3000)[::-1], numbered(3000))
    assert found[-1].kind == "too long"
    assert found[-1].message == (
        "the exits are not those expected, and too many to name all that parts them"
    )
    assert found[-1].span == span(20)


def test_what_never_comes_after_many_polls_is_missing() -> None:
    """As in a file that passed: 1,200 polls, and a table that was cut before the end of them."""
    pattern = (
        read(1, "poll", least=1, most=1500),
        expected(2, exit="MMIO", is_write=1, len=8),
        expected(3, exit="SYSTEM_EVENT"),
    )
    found = judged(pattern, [POLL] * 1200 + [HIT])
    assert [one.message.partition(" ")[0] for one in found] == ["missing:", "missing:", "extra:"]


@pytest.mark.slow
def test_stops_too_many_to_align_fail_and_say_so() -> None:
    stops = [Stop(4 * n, StopReason.STEP, {}, n) for n in range(2000)]
    wanted = [wanted_stop(1, "poll") for _ in range(2000)]
    found = list(compare_stops(wanted, stops, GUEST, span(20)))
    assert found[-1].kind == "too long"
    assert found[-1].message.startswith("the stops are not those expected")


@pytest.mark.slow
def test_a_long_row_of_stops_is_compared_to_its_end() -> None:
    stops = [stop("poll", n) for n in range(LONG)]
    wanted = [wanted_stop(1, "poll")] * LONG
    assert list(compare_stops(wanted, stops, GUEST, span(20))) == []
    assert list(compare_stops(wanted, [*stops[:-1], stop("next", 1)], GUEST, span(20)))


def test_never_is_looked_for_in_every_exit() -> None:
    banned = (*each(2000, len=8), expected(7, exit="MMIO", addr=1999, len=4))
    trace = Trace(tuple(numbered(2000)), ended=Ending.EXIT_LIMIT)
    (found,) = judge(clause(None, never=banned), trace, (), GUEST)
    assert (found.kind, found.exit, found.span) == ("never", 1999, span(7))

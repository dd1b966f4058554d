"""What comes after the last exit expected, only because others did not come, is left out."""

from __future__ import annotations

from errno import EINTR
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Limits
from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.trace import Ending, Exit, Trace
from vcpu_scenario.verdict import match
from vcpu_scenario.verdict.overrun import up_to_its_last_brk, without_overrun

from .build import BRK_7, CASE, SYMBOLS, clause, expected, failed, has_read, read, step, stepped


def brk(line: int) -> ExpectedExit:
    return expected(line, exit="DEBUG", pc=SYMBOLS["done"], hsr=BRK_7)


WANTED = (step(1, "poll"), read(2, "poll"), step(3, "next"), step(4, "done"), brk(5))
HIT = stepped("done", BRK_7)
SHORT = (stepped("poll"), has_read("poll"), stepped("done"), HIT)
"""As from 5.0 to 5.10: `next` is skipped."""


def shortened(*exits: Exit, ended: Ending = Ending.EXIT_LIMIT, limit: int = len(WANTED)) -> Trace:
    trace = Trace(exits, ended=ended)
    return without_overrun(clause(WANTED), trace, Limits(exits=limit))


@pytest.mark.parametrize(
    ("more", "ended"),
    [
        (failed(EINTR, "done", "INTR"), Ending.INTERRUPTED),
        (stepped("start"), Ending.EXIT_LIMIT),
        (HIT, Ending.EXIT_LIMIT),
    ],
)
def test_the_run_ends_with_the_last_exit_expected(more: Exit, ended: Ending) -> None:
    trace = shortened(*SHORT, more, ended=ended)
    assert trace.exits == SHORT
    assert trace.ended is Ending.LAST_EXPECTED


def test_all_that_is_over_goes() -> None:
    exits = (stepped("poll"), stepped("done"), HIT)
    more = (stepped("start"), stepped("start"))
    assert shortened(*exits, *more).exits == exits


def test_what_is_as_expected_stays() -> None:
    whole = (stepped("poll"), has_read("poll"), stepped("next"), stepped("done"), HIT)
    assert shortened(*whole) == Trace(whole, ended=Ending.EXIT_LIMIT)


def test_what_comes_where_the_last_one_did_not_stays() -> None:
    exits = (*SHORT[:3], failed(EINTR, "done", "INTR"))
    assert shortened(*exits, ended=Ending.INTERRUPTED).exits == exits


def test_what_came_too_late_stays() -> None:
    exits = (*SHORT, stepped("next"))
    assert shortened(*exits).exits == exits


def test_an_extra_exit_before_the_last_one_stays() -> None:
    exits = (stepped("poll"), has_read("poll"), stepped("start"), stepped("done"), HIT)
    assert shortened(*exits).exits == exits


def test_a_limit_of_the_scenarios_own_is_kept_to() -> None:
    exits = (*SHORT, stepped("start"), stepped("start"))
    assert shortened(*exits, limit=6).exits == exits


@pytest.mark.parametrize(
    "ended", [Ending.ERROR, Ending.SYSTEM_EVENT, Ending.REPEATS, Ending.REFUSED]
)
def test_what_ended_the_run_stays(ended: Ending) -> None:
    exits = (*SHORT, stepped("start"))
    assert shortened(*exits, ended=ended).exits == exits


def test_without_expected_exits_nothing_is_over() -> None:
    trace = Trace(SHORT, ended=Ending.EXIT_LIMIT)
    assert without_overrun(clause(), trace, Limits(exits=4)) is trace


def test_a_long_run_is_not_aligned_again_for_each_exit_that_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many, cost = 100, match.cost
    asked = []

    def counted(one: ExpectedExit, other: Exit, state: Any) -> int:
        asked.append(one)
        return cost(one, other, state)

    monkeypatch.setattr(match, "cost", counted)
    wanted = (step(1, "poll"), *[read(2, "poll")] * many, brk(3))
    trace = Trace((stepped("poll"), HIT, *[stepped("start")] * many), ended=Ending.EXIT_LIMIT)
    shorter = without_overrun(clause(wanted), trace, Limits(exits=len(wanted)))
    assert shorter.exits == trace.exits[:2]
    assert len(asked) < 5 * many**2


NOWHERE = replace(stepped("poll"), pc=0x200)


@pytest.mark.parametrize("more", [(NOWHERE,), (NOWHERE, NOWHERE)])
def test_what_runs_on_behind_the_last_brk_goes(more: tuple[Exit, ...]) -> None:
    trace = up_to_its_last_brk(CASE, Trace((*SHORT, *more), ended=Ending.INTERRUPTED))
    assert trace == Trace(SHORT, ended=Ending.EXIT_LIMIT)


@pytest.mark.parametrize(
    "exits",
    [SHORT, SHORT[:3], (*SHORT[:3], NOWHERE), (*SHORT, NOWHERE, stepped("start")), (NOWHERE,), ()],
)
def test_a_run_that_does_not_end_behind_a_brk_is_left_as_it_is(exits: tuple[Exit, ...]) -> None:
    trace = Trace(exits, ended=Ending.INTERRUPTED)
    assert up_to_its_last_brk(CASE, trace) is trace


def test_what_a_brk_is_followed_by_in_the_end_stays() -> None:
    trace = Trace((*SHORT, NOWHERE), ended=Ending.SYSTEM_EVENT)
    assert up_to_its_last_brk(CASE, trace) is trace

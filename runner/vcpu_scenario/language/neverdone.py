"""Actions under ``on:`` that no run of a scenario does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.possible import Means, means_of, why_not
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.reactions import ReadReaction, can_come
from vcpu_scenario.source import Span

_NOT_AT_THE_LAST: Final = "only an exit's own `then` has anything done after the last exit of a run"


class Run(NamedTuple):
    """What of a clause's run decides whether a reaction is done in it."""

    means: Means
    exits: tuple[ExpectedExit, ...] | None
    ends_there: bool
    """It ends with the last of its exits."""

    @classmethod
    def of(cls, clause: Clause, *, limited: bool) -> Run:
        exits = clause.expectation.exits
        fixed = exits is not None and all(item.most == item.least for item in exits)
        ends_there = fixed and not limited and not clause.case.limits.act_at_last
        return cls(means_of(clause.case), exits, ends_there)


def never_done(read: ReadReaction, runs: Sequence[Run]) -> str:
    """Why a reaction is never done in any of these runs; empty where it may be."""
    why = ""
    for run in runs:
        impossible = why_not(read.expected, run.means)
        if not impossible and can_come(read, run.exits, ends_there=run.ends_there):
            return ""
        why = impossible or why
    return why or f"no clause expects enough exits that fit; {_NOT_AT_THE_LAST}"


def check_done(done: Mapping[Span, bool], problems: Problems) -> None:
    """Reports each action under ``on:`` that no clause's run lives long enough for.

    ``done`` has the text of each, and whether there is a run that can do it.
    """
    for span, can_be in done.items():
        if not can_be:
            problems.add(
                "this is never done",
                span,
                help="each run ends before it, at the limit of exits that its clause or"
                f" `limits:` sets; {_NOT_AT_THE_LAST}",
            )

"""Actions under ``on:`` that no run of a scenario does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.possible import Means, means_of, why_not
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.reactions import ReadReaction, can_come
from vcpu_scenario.source import Span


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
        return cls(means_of(clause.case), exits, fixed and not limited)


def never_done(read: ReadReaction, runs: Sequence[Run]) -> str:
    """Why a reaction is never done in any of these runs; empty where it may be."""
    why = ""
    for run in runs:
        impossible = why_not(read.expected, run.means)
        if not impossible and can_come(read, run.exits, ends_there=run.ends_there):
            return ""
        why = impossible or why
    return why or "no clause expects enough exits that fit; nothing is done after a run's last exit"


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
                " `limits:` sets; nothing is done after the last exit of a run",
            )

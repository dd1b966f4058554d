"""Whether a clause of ``expect:`` can fail at all: what asserts nothing is an error."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from vcpu_scenario.expectation import Expectation, ExpectedExit
from vcpu_scenario.expectation import Final as FinalState
from vcpu_scenario.language.nodes import Map, items_of
from vcpu_scenario.language.problems import Problems

_ANY_KIND: Final = {"any", "error", "interrupted"}
_PARTS: Final = "`exits`, `stops`, `never`, `final` or `refused`"


def check_asserts(expectation: Expectation, clause: Map, limit: int, problems: Problems) -> None:
    """Reports a clause that any run fulfils, as one does whose ``exits:`` is indented wrongly.

    A run has at most ``limit`` exits.
    """
    if _asserts(expectation, limit):
        return
    case = f"what is left of it for {problems.case}" if problems.case else ""
    exits = clause.key("exits")
    if exits is not None:
        problems.add(
            "this holds of every run: the clause asserts nothing",
            exits.span,
            found=case,
            expected="an exit of a certain kind, or a number of them that may not come",
            help="every run has at least one exit",
        )
    else:
        problems.add(
            "the clause asserts nothing",
            clause.span,
            found=case or ", ".join(key.text for key, _ in clause.entries) or "no key",
            expected=_PARTS,
            help="what belongs to a clause is indented as far as its first key",
        )


def check_beside(
    expectations: Sequence[Expectation], clause: Map, told: Set[str], problems: Problems
) -> None:
    """Reports what says that something must not come and cannot fail, in each of the clause's
    cases: the run ends with the last exit that is expected, and none of those can be it; or no
    debugger is told of anything. ``told`` are the exits that one may be told of."""
    closed = [one.exits for one in expectations if one.exits and is_closed(one.exits)]
    closed = closed if len(closed) == len(expectations) else []
    _check_never(expectations, clause, bool(closed), problems)
    stops = clause.key("stops")
    if stops is None or items_of(clause.get("stops")):
        return
    if not told:
        problems.add(
            "`stops` asserts nothing",
            stops.span,
            found="no stop, and no `debug:` asks KVM for guest debug",
            help="leave `stops` out, or say under `debug` what the debugger asks for",
        )
    elif closed and not any(_is_told(item, told) for exits in closed for item in exits):
        problems.add(
            "`stops` asserts nothing beside these exits",
            stops.span,
            found="no stop, and none of them is one that a debugger is told of",
            expected="stops, or exits of which some number is left open",
            help="leave `stops` out",
        )


def _check_never(
    expectations: Sequence[Expectation], clause: Map, closed: bool, problems: Problems
) -> None:
    never = clause.key("never")
    each = [(one.never, other) for one in expectations for other in one.exits or ()]
    if never is None or not closed:
        return
    if all(_exclude(one, other) for banned, other in each for one in banned):
        problems.add(
            "`never` asserts nothing beside these exits",
            never.span,
            found="the run ends with the last of them, and none of them is like it",
            expected="exits of which some number is left open",
            help="end `exits` with `any: {repeat: {least: 0}}`, and the run goes on",
        )


def _is_told(item: ExpectedExit, told: Set[str]) -> bool:
    """Whether the exit may be one of ``told``."""
    if item.kind in ("error", "interrupted"):
        return False
    names = [check.value for check in item.checks if check.field == "exit"]
    return not names or names[0] in told


def is_closed(exits: Sequence[ExpectedExit]) -> bool:
    """Whether they say how many exits there are."""
    return all(item.most == item.least for item in exits)


def _exclude(one: ExpectedExit, other: ExpectedExit) -> bool:
    """Whether no exit is like both."""
    if _ANY_KIND & {one.kind, other.kind}:
        return False
    if one.kind != other.kind:
        return True
    values = {check.field: check.value for check in one.checks if check.mask is None}
    return any(
        check.mask is None and values.get(check.field, check.value) != check.value
        for check in other.checks
    )


def _asserts(expectation: Expectation, limit: int) -> bool:
    return (
        expectation.refused is not None
        or expectation.stops is not None
        or bool(expectation.never)
        or expectation.final != FinalState()
        or (expectation.exits is not None and not holds_of_all(expectation.exits, limit))
    )


def holds_of_all(exits: Sequence[ExpectedExit], limit: int) -> bool:
    """Whether any run of at most ``limit`` exits has these. A run has at least one, and ends with
    the last expected where their number is fixed. What need not come makes no difference beside
    what may be any exit, any number of times."""
    required = [item for item in exits if item.least]
    if not exits or sum(item.least for item in required) > 1 or not all(map(_is_any, required)):
        return False
    return is_closed(exits) or any(
        _is_any(item) and (item.most is None or item.most >= limit) for item in exits
    )


def _is_any(item: ExpectedExit) -> bool:
    """Whether every exit is like it."""
    return not item.checks and not item.regs

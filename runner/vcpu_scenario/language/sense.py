"""Whether a clause of ``expect:`` can fail at all: what asserts nothing is an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vcpu_scenario.expectation import Expectation, ExpectedExit
from vcpu_scenario.expectation import Final as FinalState
from vcpu_scenario.language.nodes import Map
from vcpu_scenario.language.scope import Problems

_PARTS: Final = "`exits`, `stops`, `never`, `final` or `refused`"


def check_asserts(expectation: Expectation, clause: Map, problems: Problems) -> None:
    """Reports a clause that any run fulfils, as one does whose ``exits:`` is indented wrongly."""
    if _asserts(expectation):
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


def _asserts(expectation: Expectation) -> bool:
    return (
        expectation.refused is not None
        or expectation.stops is not None
        or bool(expectation.never)
        or expectation.final != FinalState()
        or (expectation.exits is not None and not holds_of_all(expectation.exits))
    )


def holds_of_all(exits: Sequence[ExpectedExit]) -> bool:
    """Whether any run has these exits. A run has at least one, and ends with the last expected
    where their number is fixed."""
    if not exits or any(item.checks or item.regs for item in exits):
        return False
    least = sum(item.least for item in exits)
    fixed = all(item.most == item.least for item in exits)
    return least <= 1 and (fixed or any(item.most is None for item in exits))

"""What the conditions of a clause were in its cases: one that makes no difference is an error."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Final

from msgspec import Struct, field

from vcpu_scenario.language.audience import Selector
from vcpu_scenario.language.bycase import BOUNDS, ELSE
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import Span


class Seen(Struct):
    """Which conditions held in how many of the cases that came to them.

    ``differing`` are the values by case that are not one value throughout: whether they are may
    depend on the parameters, which stand for values too.
    """

    reached: dict[Span, int] = field(default_factory=dict)
    held: dict[Span, int] = field(default_factory=dict)
    choices: dict[Span, Map] = field(default_factory=dict)
    differing: set[Span] = field(default_factory=set)
    left_out: dict[Span, str] = field(default_factory=dict)
    twice: dict[tuple[Span, Span], str] = field(default_factory=dict)

    def met(self, span: Span, holds: bool) -> None:
        self.reached[span] = self.reached.get(span, 0) + 1
        self.held[span] = self.held.get(span, 0) + holds

    def count(self, choices: Map, fitting: Collection[Scalar]) -> None:
        """That a case came to a value by case, and which of its keys fit it."""
        before = self.choices.setdefault(choices.span, choices)
        if len({_meaning(value) for part in (before, choices) for _, value in part.entries}) > 1:
            self.differing.add(choices.span)
        for key, _ in choices.entries:
            self.met(key.span, key in fitting)

    def chosen(self, choices: Map, fitting: Collection[Scalar], case: str, left_out: bool) -> None:
        """That ``fitting`` are the keys of a value by case that are for ``case``."""
        if left_out:
            self.left_out.setdefault(choices.span, case)
        first, *more = [key.span for key in fitting] or [choices.span]
        for span in more:
            self.twice.setdefault((first, span), case)

    def report(self, items: Iterable[tuple[Span, Selector]], problems: Problems) -> None:
        """Reports each of ``items``, the conditions of exits and stops, that tells no cases from
        others, and each value by case that has none or two for a case."""
        for span, selector in items:
            reached, held = self.reached.get(span, 0), self.held.get(span, 0)
            if reached and not held:
                problems.add(
                    "this never comes",
                    selector.span,
                    found="no case that the clause is for is such",
                    help="take it out, or widen the condition",
                )
            elif reached and held == reached:
                problems.add(
                    "this condition holds in every case",
                    selector.span,
                    found="all cases that the clause is for are such",
                    help="take the condition out",
                )
        for span, case in self.left_out.items():
            problems.add(
                "a value is missing",
                span,
                found=f"none for {case}",
                expected="one for each case that the clause is for",
                help="add `else:` with a value, or with null where nothing is to be compared",
            )
        for (first, second), case in self.twice.items():
            problems.add(
                "two of these values are for the same case",
                second,
                found=f"{case} has the one at line {first.line}, column {first.column} as well",
                expected="keys that do not overlap",
            )
        for choices in self.choices.values():
            if choices.span in self.left_out:
                continue  # a key that no case has may be meant for the one that is left out
            if choices.span in self.differing or not _report_same(choices, problems):
                self._report_keys(choices, problems)

    def _report_keys(self, choices: Map, problems: Problems) -> None:
        for key, _ in choices.entries:
            reached, held = self.reached.get(key.span, 0), self.held.get(key.span, 0)
            if not held:
                problems.add(
                    "no case has this value",
                    key.span,
                    found="every case has another of them"
                    if key.text == ELSE
                    else "no case that comes here is such",
                    help="take it out",
                )
            elif held == reached:
                problems.add(
                    "every case has this value",
                    key.span,
                    found="all cases that come here are such",
                    help="write the value alone",
                )


_NOTHING: Final = (type(None), None)
"""What null means: nothing is compared."""


def _report_same(choices: Map, problems: Problems) -> bool:
    """Reports a value by case that is the same one in each; whether there was that to report."""
    if _meaning(choices) == _NOTHING:
        problems.add(
            "this asserts nothing",
            choices.span,
            found="null, which is not compared, for every case",
            help="leave the key out, or give some case a value",
        )
    elif len(choices.entries) > 1:
        problems.add(
            "every case has the same value",
            choices.span,
            found="keys that tell cases apart, and one value under all of them",
            help="write the value alone",
        )
    else:
        return False
    return True


def _meaning(node: Node) -> Hashable:
    """Equal for nodes that mean the same; a value by case that is one throughout means that one."""
    if isinstance(node, Scalar):
        return type(node.value), node.value
    if isinstance(node, Sequence):
        return tuple(map(_meaning, node.items))
    entries = {key.text: _meaning(value) for key, value in node.entries}
    if len(set(entries.values())) == 1 and not entries.keys() <= BOUNDS:
        return next(iter(entries.values()))
    return frozenset(entries.items())

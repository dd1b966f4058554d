"""``on:``: what the VMM does after exits, by their number or as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from vcpu_scenario.case import Action, ExitPattern, FieldPattern, Reaction
from vcpu_scenario.expectation import Acting, Check, ExpectedExit, Reacting
from vcpu_scenario.language.actions import Doings, read_each
from vcpu_scenario.language.contradictions import contradict
from vcpu_scenario.language.exits import read_pattern
from vcpu_scenario.language.nodes import Map, Node, items_of
from vcpu_scenario.source import Span

_WHEN: Final = ("exit", "first", "each", "nth")


class ReadReaction(NamedTuple):
    """A reaction, and the exit that it waits for as an expectation of it."""

    reaction: Reaction
    expected: ExpectedExit
    each: tuple[Span, ...]
    """The text of each action."""

    @property
    def reacting(self) -> Reacting:
        return Reacting(self.reaction, self.expected.span, self.each)


class On(NamedTuple):
    """What ``on:`` asks for: by number, with the text that asks, and as exits come."""

    by_number: tuple[tuple[int, tuple[Action, ...]], ...]
    acting: tuple[Acting, ...]
    reactions: tuple[ReadReaction, ...]


def read_on(node: Node | None, doings: Doings) -> On:
    """Reads the list ``node``."""
    numbers: dict[int, tuple[Action, ...]] = {}
    acting: list[Acting] = []
    reactions: list[ReadReaction] = []
    for item in items_of(node):
        if not isinstance(item, Map) or not _says_when(item, doings):
            continue
        if item.get("exit") is not None:
            _by_number(item, numbers, acting, doings)
        else:
            reactions += _reaction(item, doings)
    return On(tuple(sorted(numbers.items())), tuple(acting), tuple(reactions))


def _says_when(item: Map, doings: Doings) -> bool:
    """Whether the entry says in exactly one way after which exits; reports where it does not."""
    present = [key for key, _ in item.entries if key.text in _WHEN]
    if len(present) == 1 or (not present and item.faulty):
        return bool(present)
    doings.scope.problems.add(
        "an entry of `on` says in exactly one way after which exit",
        present[1].span if present else item.span,
        found=", ".join(key.text for key in present) or "none of them",
        expected="one of exit, first, each, and nth with of",
    )
    return False


def _by_number(
    item: Map, numbers: dict[int, tuple[Action, ...]], acting: list[Acting], doings: Doings
) -> None:
    problems = doings.scope.problems
    number, before = item.get("exit"), problems.reports
    index = doings.scope.number(number, high=1 << 32)
    faulty = problems.reports > before
    if number is None:
        return
    if index in numbers and not faulty:
        problems.add(
            f"exit {index} is listed twice", number.span, help="put its actions in one list"
        )
    numbers[index], each = _actions(item, doings)
    acting.append(Acting(index, number.span, each))


def _reaction(item: Map, doings: Doings) -> Iterator[ReadReaction]:
    nth = item.get("nth")
    times = doings.scope.number(nth, low=1, high=100_000) if nth is not None else 1
    if item.get("each") is not None:
        times = 0
    pattern = next(
        (found for key in ("first", "each", "of") if (found := item.get(key)) is not None), None
    )
    expected = read_pattern(pattern, doings) if pattern is not None else None
    actions, each = _actions(item, doings)
    if expected is not None:
        yield ReadReaction(Reaction(pattern_of(expected), actions, times), expected, each)


def _actions(item: Map, doings: Doings) -> tuple[tuple[Action, ...], tuple[Span, ...]]:
    """The actions of the entry, and the text of each."""
    asked = read_each(item.get("then"), doings)
    return tuple(action for action, _ in asked), tuple(span for _, span in asked)


def pattern_of(expected: ExpectedExit) -> ExitPattern:
    """The pattern that fits where all that ``expected`` says is so."""
    return ExitPattern(
        tuple(map(_field, expected.checks)),
        tuple((check.reg, check.value) for check in expected.regs),
        expected.kind == "any" or any(c.field in ("errno", "ret") for c in expected.checks),
    )


def _field(check: Check) -> FieldPattern:
    value = check.value
    if isinstance(value, bytes):
        return FieldPattern(check.field, data=value)
    if isinstance(value, tuple):
        return FieldPattern(check.field, words=value)
    if isinstance(value, str):
        return FieldPattern(check.field, text=value)
    return FieldPattern(check.field, number=value, mask=check.mask)


def may_fit(wanted: ExpectedExit, expected: ExpectedExit) -> bool:
    """Whether an exit can be what both say of it."""
    if "any" not in (wanted.kind, expected.kind) and wanted.kind != expected.kind:
        return False
    for one in wanted.checks:
        for other in expected.checks:
            if one.field == other.field and contradict(one, other):
                return False
    if not (wanted.regs and expected.regs):
        return True
    ours = {check.reg: check.value for check in wanted.regs}
    return all(ours.get(check.reg, check.value) == check.value for check in expected.regs)


def can_come(
    read: ReadReaction, exits: Sequence[ExpectedExit] | None, *, all: bool, but_last: bool
) -> bool:
    """Whether so many of the ``exits`` expected may fit as the reaction waits for, ``but_last``
    the last of them, where they are ``all`` that come. Whatever may come where nothing is said."""
    if exits is None or not all:
        return True
    found = 0
    for number, expected in enumerate(exits, 1):
        if may_fit(read.expected, expected):
            if expected.most is None:
                return True
            found += expected.most - (but_last and number == len(exits))
    return found >= max(read.reaction.nth, 1)

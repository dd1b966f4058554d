"""Exits that contradict themselves, or what else a clause says of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Final

from vcpu_scenario.expectation import Check, Expectation, ExpectedExit
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import quoted


def check_contradictions(expectation: Expectation, problems: Problems) -> None:
    """Reports each exit under ``never`` of which all is said by one that must come, and each that
    is like no exit."""
    for item in (*(expectation.exits or ()), *expectation.never):
        for check, why in _denied(item):
            problems.add("no exit is like this", check.span, found=why)
    required = _Required([item for item in expectation.exits or () if item.least])
    for banned in expectation.never:
        if (other := required.like(banned)) is not None:
            case = f", for {problems.case}" if problems.case else ""
            problems.add(
                "this must never come and must come: no run fulfils the clause",
                banned.span,
                found=f"the exit expected at line {other.span.line} is like this{case}",
                help="leave one of the two out, or say more of this one",
            )


def like_none(item: ExpectedExit) -> str:
    """Why no exit is as ``item`` says; empty where one may be."""
    return next((f"no exit is like this: it has {why}" for _, why in _denied(item)), "")


def _denied(item: ExpectedExit) -> Iterator[tuple[Check, str]]:
    """What of ``item`` cannot be beside what it says before, and in words with what."""
    if len({check.field for check in item.checks}) == len(item.checks):
        return  # most have each field once
    for one, other in combinations(item.checks, 2):
        if one.field == other.field and contradict(one, other):
            of = f"{quoted(other.field)} of {quoted(other.written)}"
            yield other, f"{of}, where {quoted(one.written)} asks for another"


def contradict(one: Check, other: Check) -> bool:
    """Whether no field has what both of these say of it."""
    first, second = one.value, other.value
    if isinstance(first, int) and isinstance(second, int):
        both = (1 << 64) - 1
        both &= one.mask if one.mask is not None else both
        both &= other.mask if other.mask is not None else both
        return (first ^ second) & both != 0
    if isinstance(first, bytes) and isinstance(second, bytes):
        length = min(len(first), len(second))
        return first[:length] != second[:length]
    return type(first) is type(second) and first != second


class _Required:
    """Exits that must come, found by what is said of them, so that many cost no more than their
    number."""

    def __init__(self, exits: Sequence[ExpectedExit]) -> None:
        self._exits: Final = exits
        self._found: Final = dict[Hashable, dict[Hashable, int]]()

    def like(self, banned: ExpectedExit) -> ExpectedExit | None:
        """The first that says all that ``banned`` does."""
        found = (1 << len(self._exits)) - 1
        if banned.kind != "any":
            found &= self._saying("kind", banned.kind, lambda one: one.kind)
        for check in banned.checks:
            length = len(check.value) if isinstance(check.value, bytes) else None
            shape = check.field, check.mask, length
            found &= self._saying(shape, _value(check, check), partial(_of, like=check))
        for reg in banned.regs:
            found &= self._saying(reg.reg, reg.value, partial(_of_register, name=reg.reg))
        return self._exits[(found & -found).bit_length() - 1] if found else None

    def _saying(
        self, shape: Hashable, wanted: Hashable, of: Callable[[ExpectedExit], Hashable]
    ) -> int:
        """Those of which ``of`` gives ``wanted``, a bit for each."""
        if shape not in self._found:
            index = self._found[shape] = {}
            for number, one in enumerate(self._exits):
                value = of(one)
                index[value] = index.get(value, 0) | 1 << number
        return self._found[shape].get(wanted, 0)


def _of_register(one: ExpectedExit, name: str) -> Hashable:
    return next((check.value for check in one.regs if check.reg == name), None)


def _of(one: ExpectedExit, like: Check) -> Hashable:
    """What an exit must have where ``like`` looks; None where that is left open."""
    values = (_value(check, like) for check in one.checks if check.field == like.field)
    return next((value for value in values if value is not None), None)


def _value(check: Check, like: Check) -> Hashable:
    """What ``check`` says of the bits or bytes that ``like`` compares, None where not of all."""
    value = check.value
    if isinstance(value, bytes) and isinstance(like.value, bytes):
        return value[: len(like.value)] if len(value) >= len(like.value) else None
    if like.mask is None:
        return value if check.mask is None else None
    covered = check.mask is None or check.mask & like.mask == like.mask
    return value & like.mask if covered and isinstance(value, int) else None

"""Which exits of a run fit an expectation, for all of its exits at once.

An index for each field that is asked for: what is expected of it is looked up, not compared with
one exit after the other, so that many expectations of long runs cost no more than their number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from errno import EINTR
from typing import Any, Final, TypeAlias

from vcpu_scenario.expectation import Check, ExpectedExit
from vcpu_scenario.trace import Exit
from vcpu_scenario.verdict import match
from vcpu_scenario.vmm.patterns import field_of

_MOST_KEPT: Final = 512
_FEW: Final = 8

_Index: TypeAlias = Mapping[Hashable, Sequence[int]]
_Values: TypeAlias = Callable[[], Iterable[Hashable]]


class Fitting:
    """``pattern`` against ``exits``, after each of which the observed registers are in ``states``.

    An exit fits where :func:`vcpu_scenario.verdict.match.cost` is 0.
    """

    def __init__(
        self,
        pattern: Sequence[ExpectedExit],
        exits: Sequence[Exit],
        states: Sequence[Mapping[str, int]],
    ) -> None:
        self._pattern = pattern
        self._exits = exits
        self._states = states
        self._indices: dict[Hashable, _Index] = {}
        self._sets: dict[Hashable, int] = {}
        self._everything = (1 << len(exits)) - 1

    def one(self, item: int, thing: int) -> bool:
        return match.cost(self._pattern[item], self._exits[thing], self._states[thing]) == 0

    def all(self, item: int) -> int:
        """The exits that fit an item, a bit for each."""
        expected = self._pattern[item]
        fitting = self._everything
        for check in expected.checks:
            fitting &= self._meeting(check)
        for reg in expected.regs:
            fitting &= self._set(("register", reg.reg), self._registers(reg.reg), reg.value)
        if not match.speaks_of_result(expected):
            fitting &= self._set(("field", "ret"), self._field("ret", _as_it_is), 0)
        if match.excludes_interruption(expected):
            fitting &= ~self._set(("field", "errno"), self._field("errno", _as_it_is), EINTR)
        return fitting

    def _meeting(self, check: Check) -> int:
        shape, form = _form(check)
        kind = ("field", check.field, *shape)
        return self._set(kind, self._field(check.field, form), form(check.value))

    def _set(self, kind: Hashable, values: _Values, wanted: Hashable) -> int:
        known = self._sets.get((kind, wanted))
        if known is None:
            if len(self._sets) >= _MOST_KEPT:
                self._sets.clear()
            known = self._sets[kind, wanted] = _bits(self._index(kind, values).get(wanted, ()))
        return known

    def _index(self, kind: Hashable, values: _Values) -> _Index:
        index = self._indices.get(kind)
        if index is None:
            found: dict[Hashable, list[int]] = {}
            for number, value in enumerate(values()):
                found.setdefault(value, []).append(number)
            index = self._indices[kind] = found
        return index

    def _field(self, name: str, form: Callable[[Any], Hashable]) -> _Values:
        return lambda: (form(field_of(exit_, name)) for exit_ in self._exits)

    def _registers(self, reg: str) -> _Values:
        return lambda: (state.get(reg) for state in self._states)


def _form(check: Check) -> tuple[tuple[Hashable, ...], Callable[[Any], Hashable]]:
    """A form of a field's values, and its name, in which those that meet the check are alike."""
    wanted, mask = check.value, check.mask
    if isinstance(wanted, bytes):
        length = len(wanted)
        return ("bytes", length), lambda value: _first_bytes(value, length)
    if isinstance(wanted, tuple):
        return ("list",), _as_list
    if mask is not None:
        return ("mask", mask), lambda value: value & mask if isinstance(value, int) else None
    return (), _as_it_is


def _first_bytes(value: Any, length: int) -> Hashable:
    if isinstance(value, str):
        value = bytes.fromhex(value)
    return value[:length] if isinstance(value, bytes) else None


def _as_list(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, Sequence) else None


def _as_it_is(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


def _bits(numbers: Sequence[int]) -> int:
    if len(numbers) <= _FEW:
        return sum(1 << number for number in numbers)
    out = bytearray(numbers[-1] // 8 + 1)
    for number in numbers:
        out[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(out, "little")

"""Compare two traces: align their exits and list every field that differs.

Neither is the reference. Rules are not compared: only the emulated machine names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any, Final, TypeAlias

from msgspec import Struct

from vcpu_scenario.arm64.esr import EC_MASK
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.trace import Exit, Ring, Trace, observed
from vcpu_scenario.verdict.align import GAP, align
from vcpu_scenario.verdict.words import Name, describe, value_words

Pair: TypeAlias = tuple[int | None, int | None]
"""The indices of two exits that are compared; None where one trace has none."""

_NEVER: Final = 2 * GAP + 1
_ELSEWHERE: Final = frozenset({"pc", "addr", "is_write"})


class Difference(Struct, frozen=True):
    """One field in which two traces differ.

    ``at`` is ``set-up``, ``exit``, ``kick``, or what of the final state differs: ``register``,
    ``register list``, ``memory``, ``eventfd``, ``ring``, ``output``, ``end``. ``exits`` are the
    indices of the two exits, both None elsewhere. ``field`` is the exit's field under its name in
    traces, ``regs.x1`` for a register, empty where only one of the traces has the exit; elsewhere
    it says which register, address, eventfd, entry of the ring or device, or which exit comes after
    the kick. ``one`` and ``other`` are the two values, None where there is none: integers for
    registers, addresses and counts, bytes for memory and output, hex digits for ``data``. For an
    exit that only one trace has, they are its fields, as :meth:`vcpu_scenario.trace.Exit.to_json`
    names them.
    """

    at: str
    exits: Pair
    field: str
    one: Any
    other: Any

    def words(self, name: Name = hex) -> str:
        """The difference in a line; ``name`` says what an address is called."""
        if self.at != "exit":
            what = " ".join(filter(None, (self.at, self.field)))
            return f"{what}: {_plain(self.one)}, not {_plain(self.other)}"
        if not self.field:
            return self._gap(name)
        first, second = self.exits
        where = f"exit {first}" if first == second else f"exit {first}, not {second}"
        field = self.field.removeprefix("regs.")
        one, other = (value_words(field, value, name) for value in (self.one, self.other))
        return f"{where}: {field}: {one}, not {other}"

    def _gap(self, name: Name) -> str:
        first, second = self.exits
        if second is None:
            return f"exit {first}: only in the first: {describe(self.one, name)}"
        return f"exit {second}: only in the second: {describe(self.other, name)}"


class Comparison(Struct, frozen=True):
    """Two traces beside each other: ``pairs`` of exits in order, and every difference.

    A register that differs is listed at the first exit after which it does, and again only where
    one of the two values changes.
    """

    pairs: tuple[Pair, ...]
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether the traces agree in everything."""
        return not self.differences

    def __str__(self) -> str:
        if self.same:
            return "the same"
        return "\n".join(difference.words() for difference in self.differences)


def compare_traces(one: Trace, other: Trace) -> Comparison:
    """Compare ``one`` with ``other`` in every field but the rules."""
    registers = observed(one.exits), observed(other.exits)
    pairs = _pairs(one.exits, other.exits, registers)
    differences = [
        *_set_up(one, other),
        *_exits(pairs, one.exits, other.exits, registers),
        *_kicks(one, other),
        *_final(one, other),
    ]
    return Comparison(pairs, tuple(differences))


def first_other_exit(one: Trace, other: Trace) -> int | None:
    """The number of the first exit in which two traces differ; None where all are the same."""
    pairs = enumerate(zip_longest(one.exits, other.exits))
    return next((index for index, (here, there) in pairs if here != there), None)


def first_difference(one: Trace, other: Trace) -> tuple[Difference, ...]:
    """What differs at the first place where two traces part: in the set-up, in the first exit, by
    number, that is another, or in the final state. Empty where they are the same."""
    found = tuple(_set_up(one, other))
    if not found and one.exits != other.exits:
        pairs = zip_longest(range(len(one.exits)), range(len(other.exits)))
        registers = observed(one.exits), observed(other.exits)
        by_exit = groupby(_exits(pairs, one.exits, other.exits, registers), lambda each: each.exits)
        found = tuple(next((group for _, group in by_exit), ()))
    return found or (*_kicks(one, other), *_final(one, other))


_States: TypeAlias = tuple[Sequence[Mapping[str, int]], Sequence[Mapping[str, int]]]


class _Once(Struct, frozen=True):
    least: int = 1
    most: int | None = 1


def _pairs(one: Sequence[Exit], other: Sequence[Exit], registers: _States) -> tuple[Pair, ...]:
    def cost(i: int, j: int) -> int:
        return _cost(one[i], other[j], registers[0][i] == registers[1][j])

    alignment = align([_Once()] * len(one), len(other), cost)
    pairs = [(pair.expected, pair.actual) for pair in alignment.pairs]
    if alignment.cut:  # what lies behind is held together by position, so that nothing is lost
        first = 1 + max((i for i, _ in pairs if i is not None), default=-1)
        second = 1 + max((j for _, j in pairs if j is not None), default=-1)
        pairs += zip_longest(range(first, len(one)), range(second, len(other)))
    return tuple(pairs)


def _cost(one: Exit, other: Exit, same_registers: bool) -> int:
    """What holding two exits against each other costs, by the measure of ``match.cost``."""
    if _kind(one) != _kind(other):
        return _NEVER
    differing = [field for field, _, _ in _fields(one, other)]
    count = len(differing) + (not same_registers)
    if _ELSEWHERE.isdisjoint(differing):
        return min(count, GAP - 1)
    return GAP + 2 + min(count, 4)


def _kind(exit_: Exit) -> tuple[object, ...]:
    if exit_.ret:
        return exit_.ret, exit_.errno
    hsr = exit_.fields.get("hsr")
    return exit_.exit, hsr & EC_MASK if isinstance(hsr, int) else None


def _fields(one: Exit, other: Exit) -> Iterator[tuple[str, Any, Any]]:
    first, second = (_flat(exit_) for exit_ in (one, other))
    for field in {**first, **second}:
        values = first.get(field), second.get(field)
        if values[0] != values[1]:
            yield field, *values


def _flat(exit_: Exit) -> dict[str, Any]:
    head = {"exit": exit_.exit, "ret": exit_.ret, "errno": exit_.errno, "pc": exit_.pc}
    fields = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in exit_.fields.items()
    }
    return head | fields


def _exits(
    pairs: Iterable[Pair], one: Sequence[Exit], other: Sequence[Exit], registers: _States
) -> Iterator[Difference]:
    told: dict[str, tuple[int | None, int | None]] = {}
    for pair in pairs:
        first, second = pair
        if first is None or second is None:
            gone = None if first is None else one[first].to_json()
            come = None if second is None else other[second].to_json()
            yield Difference("exit", pair, "", gone, come)
            continue
        for field, *values in _fields(one[first], other[second]):
            yield Difference("exit", pair, field, *values)
        yield from _registers(pair, registers[0][first], registers[1][second], told)


def _registers(
    pair: Pair,
    one: Mapping[str, int],
    other: Mapping[str, int],
    told: dict[str, tuple[int | None, int | None]],
) -> Iterator[Difference]:
    for reg in {**one, **other}:
        values = one.get(reg), other.get(reg)
        if values[0] == values[1]:
            told.pop(reg, None)
        elif told.get(reg) != values:
            told[reg] = values
            yield Difference("exit", pair, f"regs.{reg}", *values)


_NOWHERE: Final[Pair] = (None, None)


def _set_up(one: Trace, other: Trace) -> Iterator[Difference]:
    # The words of a refusal are the machine's own: what the kernel says is the errno.
    refused = one.error is not None, other.error is not None
    if refused[0] != refused[1] or one.errno != other.errno:
        yield Difference("set-up", _NOWHERE, "", *map(_refusal, (one, other)))


def _refusal(trace: Trace) -> str | None:
    if trace.error is None:
        return None
    return f"refused with {errno_name(trace.errno)}" if trace.errno else f"refused: {trace.error}"


def _kicks(one: Trace, other: Trace) -> Iterator[Difference]:
    """By the pc after each: where a kernel commits it, when it completes an access in one."""
    yield from _mappings("kick", dict(one.kicks), dict(other.kicks), str)


def _final(one: Trace, other: Trace) -> Iterator[Difference]:
    yield from _mappings("register", one.final_regs, other.final_regs, str)
    yield from _listed(one.reg_list or (), other.reg_list or ())
    yield from _mappings("memory", one.memory, other.memory, hex)
    yield from _rows("eventfd", one.eventfd, other.eventfd)
    yield from _rings(one.ring, other.ring)
    yield from _mappings("output", one.output, other.output, str)
    if _end(one) != _end(other):
        yield Difference("end", _NOWHERE, "", *map(_ended, (one, other)))


def _listed(one: Sequence[int], other: Sequence[int]) -> Iterator[Difference]:
    for reg in sorted({*one} ^ {*other}):
        yield Difference("register list", _NOWHERE, hex(reg), *(reg in ids for ids in (one, other)))


def _end(trace: Trace) -> tuple[str, str]:
    """As it is compared: before the errno of a refusal stand the machine's own words."""
    return trace.ended, trace.refused.rpartition(": ")[2]


def _ended(trace: Trace) -> str:
    return ": ".join(filter(None, (trace.ended, trace.refused)))


def _mappings(
    at: str, one: Mapping[Any, Any], other: Mapping[Any, Any], name: Any
) -> Iterator[Difference]:
    for key in {**one, **other}:
        if one.get(key) != other.get(key):
            yield Difference(at, _NOWHERE, name(key), one.get(key), other.get(key))


def _rows(at: str, one: Sequence[Any], other: Sequence[Any]) -> Iterator[Difference]:
    for number, (first, second) in enumerate(zip_longest(one, other)):
        if first != second:
            yield Difference(at, _NOWHERE, str(number), first, second)


def _rings(one: Ring | None, other: Ring | None) -> Iterator[Difference]:
    if one is None or other is None:
        if one is not other:
            values = (None if ring is None else ring.to_json() for ring in (one, other))
            yield Difference("ring", _NOWHERE, "", *values)
        return
    for field in ("first", "last"):
        first, second = getattr(one, field), getattr(other, field)
        if first != second:
            yield Difference("ring", _NOWHERE, field, first, second)
    yield from _rows(
        "ring", *([entry.to_json() for entry in ring.entries] for ring in (one, other))
    )


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bytes):
        return value.hex(" ")
    return hex(value) if isinstance(value, int) else str(value)

"""A stand-in for the guest's code, which no trace has: code that makes such exits at such places.

It is followed from the first entry on, exit by exit, as far as one instruction for each place and
one value for each register make all that the trace shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from vcpu_scenario.arm64 import esr
from vcpu_scenario.field.exits import cause
from vcpu_scenario.field.records import Seen

NAME: Final = "placeholder"
"""The label that it begins with."""
_LENGTHS: Final = {1: "b", 2: "h", 4: "", 8: ""}
_ARGUMENTS: Final = range(1, 29)
"""Registers that hold addresses and data; x0 is for the number of a hypercall."""
_WRITES: Final = 1 << 6
"""ESR_ELx.WnR."""


_AT: Final[Mapping[str | None, str]] = {"brk": "brk #0", "step": "", "hardware_breakpoint": ""}
"""What stands at the place of a debug exit; nothing where any instruction may."""


class _Unknown(Exception):
    """No stand-in makes the exit, together with those before it."""


class StandIn(Struct):
    """``made`` counts the exits that it makes; ``regs`` are what registers hold at first."""

    start: int
    room: range
    made: int = 0
    regs: dict[str, int] = field(default_factory=dict)
    _code: dict[int, str] = field(default_factory=dict)
    _targets: set[int] = field(default_factory=set)

    def lines(self) -> Iterator[str]:
        """The code, from ``start`` on."""
        at = self.start
        for place in sorted({*self._code, *self._targets, self.start}):
            if place > at:
                yield f".skip {place - at}"
            if place in self._targets or place == self.start:
                yield f"{_label(place, self.start)}:"
            yield f"    {self._code.get(place, 'nop')}"
            at = place + 4

    def follow(self, exits: Sequence[Seen]) -> None:
        """Makes code for ``exits``, up to the first for which there is none."""
        at = self.start
        try:
            for seen in exits:
                at = self._after(seen, at)
                self.made += 1
        except _Unknown:
            pass
        if at in self.room and at not in self._code:
            self._code[at] = f"b {_label(at, self.start)}"
            self._targets.add(at)

    def _after(self, seen: Seen, at: int) -> int:
        """Where the guest is behind an exit before which it was ``at``."""
        left = seen.facts.get("left")
        if seen.errno or left is None:
            raise _Unknown
        place, word = left.value, self._word(seen)
        if word == "hvc #0":
            place -= 4  # the exception returns behind it
        if at != place:
            self._put(at, "nop" if place == at + 4 else f"b {_label(place, self.start)}")
            self._targets |= {place} - {at + 4}
        if not word:
            return place
        self._put(place, word)
        return place + 4

    def _put(self, place: int, word: str) -> None:
        if place not in self.room or self._code.setdefault(place, word) != word:
            raise _Unknown

    def _word(self, seen: Seen) -> str:
        """The instruction that makes the exit; empty where none does by itself."""
        if seen.exit == "DEBUG" and (why := cause(seen)) in _AT:
            return _AT[why]
        if seen.exit == "MMIO":
            return self._access(seen)
        if seen.exit == "ARM_NISV" and {"ipa", "iss"} <= set(seen.facts):
            name = "stp" if seen.facts["iss"].value & _WRITES else "ldp"
            return f"{name} xzr, x30, [{self._holding(seen.facts['ipa'].value)}]"
        if seen.exit in ("SYSTEM_EVENT", "HYPERCALL") and "nr" in seen.facts:
            return self._call(seen)
        raise _Unknown

    def _access(self, seen: Seen) -> str:
        facts = seen.facts
        if not {"addr", "len", "is_write"} <= set(facts) or facts["len"].value not in _LENGTHS:
            raise _Unknown
        length, base = facts["len"].value, self._holding(facts["addr"].value)
        value = facts["data"].value & (1 << 8 * length) - 1 if "data" in facts else 0
        register = self._holding(value) if value else "xzr"
        named = register if length == 8 else f"w{register[1:]}"
        return f"{'str' if facts['is_write'].value else 'ldr'}{_LENGTHS[length]} {named}, [{base}]"

    def _call(self, seen: Seen) -> str:
        """One at most: x0 has another value behind it."""
        number, syndrome = seen.facts["nr"].value, seen.facts.get("hsr")
        if "x0" in self.regs or syndrome is None:
            raise _Unknown
        self.regs["x0"] = number
        return "smc #0" if esr.class_of(syndrome.value) == esr.EC_SMC64 else "hvc #0"

    def _holding(self, value: int) -> str:
        """The register that holds ``value``."""
        for number in _ARGUMENTS:
            name = f"x{number}"
            if self.regs.setdefault(name, value) == value:
                return name
        raise _Unknown


def stand_in(start: int, room: range, exits: Sequence[Seen]) -> StandIn:
    """That of ``exits``, from ``start`` on, with all of its code in ``room``."""
    made = StandIn(start, room)
    made.follow(exits)
    return made


def _label(place: int, start: int) -> str:
    return NAME if place == start else f"at_{place:x}"

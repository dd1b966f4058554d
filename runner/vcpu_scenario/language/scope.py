"""What scalars mean: numbers, flags, register names, and addresses by name.

A fault is reported and a harmless value returned in its place, so that one run finds them all;
a scenario with any fault never becomes a case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from msgspec import Struct, field

from vcpu_scenario.arm64.mmioregisters import BY_MODEL
from vcpu_scenario.kvm.registers import (
    ALIASES,
    CORE_REGISTERS,
    OTHER_REGISTERS,
    SYSTEM_REGISTERS,
    id_of,
    reg_id,
    size_of,
)
from vcpu_scenario.language.nodes import Map, Node, Scalar, entries_of
from vcpu_scenario.language.numbers import NUMBER, PLAIN, magnitude_of, read_number, shown
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.wrongvalue import number_meant
from vcpu_scenario.source import did_you_mean, quoted

U64: Final = (1 << 64) - 1
IPA_LIMIT: Final = 1 << 40
"""The guest's physical address space: 40 bits, what ``KVM_CREATE_VM`` with type 0 gives."""
PAGE: Final = 4096
MAX_VCPUS: Final = 8
"""So many have a vGICv2."""
_WIDEST: Final = 2048
"""Bits of the widest register."""

_BEHIND_ZERO = re.compile("-?0[0-9_]")
"""How decimal digits behind a zero begin."""
_NAMED = re.compile(
    rf"([A-Za-z_.$][A-Za-z0-9_.$]*)(?: ?\+ ?([A-Z][A-Z0-9_]*))?(?: ?([+-]) ?{NUMBER})?\Z"
)


class Meaning(NamedTuple):
    """All that the value of an address depends on but its text."""

    labels: Mapping[str, int]
    devices: Mapping[str, int]
    registers_of: Mapping[str, Mapping[str, int]]
    complete: bool
    vcpus: int


class Scope(Struct):
    """The names that addresses may use, and where faults go.

    ``complete`` is off where the code or a device could not be read: then a name that is not
    known may well be right, and is not reported on top.
    """

    problems: Problems
    labels: Mapping[str, int] = field(default_factory=dict)
    devices: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True
    registers_of: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The addresses of registers that have a name, by device."""
    devices_written: frozenset[str] = frozenset()
    loses_devices: bool = False
    """One at least has such a fault that not even its name is known."""
    """Names of devices, also of those in which something is wrong."""
    vcpus: int = 1
    created: set[int] = field(default_factory=set)
    """Numbers of further vCPUs that the actions read so far create."""

    @property
    def meaning(self) -> Meaning:
        return Meaning(self.labels, self.devices, self.registers_of, self.complete, self.vcpus)

    @property
    def last_vcpu(self) -> int:
        return max(self.vcpus - 1, *self.created) if self.created else self.vcpus - 1

    def number(self, node: Node | None, *, low: int = 0, high: int = U64) -> int:
        """The integer that ``node`` is, from ``low`` to ``high``."""
        harmless = max(low, 0)
        if not isinstance(node, Scalar):
            self.one_value(node)
            return harmless
        value = read_number(node)
        if value is None:
            self.problems.add(
                "not a number",
                node.span,
                found=quoted(node.text),
                expected="a number such as 4096, 0x1000, 0x0900_0000 or 4KiB",
            )
            return harmless
        if _BEHIND_ZERO.match(node.text) and (plain := PLAIN.match(node.text)) is not None:
            self._check_zero(plain[2], node)
        return self._within(value, low, high, node)

    def _check_zero(self, digits: str, node: Scalar) -> None:
        """Reports decimal digits behind a zero, as they are left of an address without its 0x."""
        plain = digits.replace("_", "")
        if plain[0] == "0" and plain.isdecimal() and int(plain) > 9:
            self.problems.add(
                "a number that begins with 0 is decimal here",
                node.span,
                found=f"{quoted(digits)}, which is {int(plain)}",
                help=f"write `0x{digits}`, or {int(plain)} if that is meant",
            )

    def one_value(self, node: Node | None, what: str = "value") -> None:
        """Reports a ``what`` by case: where it may stand, it is one by the time it is read."""
        if isinstance(node, Map) and not node.faulty:
            self.problems.add(
                f"no {what} by case stands here",
                node.span,
                expected=f"one {what}",
                help="values by case stand in the `then` of an exit of `expect`",
            )

    def word(self, node: Node | None, bits: int = 64) -> int:
        """A number of ``bits`` bits; a negative one stands for its two's complement."""
        return self._word(self._value(node, bits), node, bits)

    def address(self, node: Node | None, bits: int = 64) -> int:
        """A number or a name with an offset, as ``word`` takes it."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            match = _NAMED.match(node.text.strip())
            if match is not None:
                return self._word(self._named(node, match), node, bits)
        return self.word(node, bits)

    def flag(self, node: Node | None, default: bool = False) -> bool:
        if not isinstance(node, Scalar):
            self.one_value(node)
            return default
        value = _FLAGS.get(node.text) if isinstance(node.value, str) else node.value
        if isinstance(value, bool):
            return value
        self.problems.add(
            "not a boolean", node.span, found=quoted(node.text), expected="true or false"
        )
        return default

    def width(self, node: Node | None) -> int:
        """The width of an access in bytes; 8 where there is none."""
        if node is None:
            return 8
        width = self.number(node)
        if width in (1, 2, 4, 8):
            return width
        self.problems.add(
            "no access has this width", node.span, found=str(width), expected="1, 2, 4 or 8"
        )
        return 8

    def register(self, node: Scalar) -> str | None:
        """The canonical name of the register that ``node`` names; None where it names none."""
        name = node.text.strip()
        if reg_id(name) is not None:
            return ALIASES.get(name, name)
        lowered = name.lower()
        whole = re.sub(r"^w(?=\d+$)", "x", lowered)
        known = [*CORE_REGISTERS, *ALIASES, *OTHER_REGISTERS, *SYSTEM_REGISTERS]
        meant = reg_id(whole) is not None
        self.problems.add(
            f"no register is called {quoted(name)}",
            node.span,
            expected="x0 to x30, sp, pc, pstate, or a system register such as vbar_el1",
            help=f"did you mean `{whole}`?" if meant else "",
            near=None if meant else (name, known),
        )
        return None

    def registers(self, node: Node | None) -> Iterator[tuple[str, int, Node]]:
        """Yields name, value and the value's node for each register in ``{x1: 0x90}``."""
        seen: dict[str, Scalar] = {}
        for key, value in entries_of(node):
            name = self.register(key)
            # Of one that is none, a value of any size may be meant.
            number = self.address(value, _WIDEST if name is None else 8 * size_of(id_of(name)))
            if name is None:
                continue
            if (first := seen.setdefault(name, key)) is not key:
                self.problems.add(
                    f"{quoted(key.text)} is the same register as {quoted(first.text)}", key.span
                )
            yield name, number, value

    def choice(self, node: Scalar, choices: Iterable[str], what: str) -> str | None:
        """The one of ``choices`` that ``node`` is; None, and a report, where it is none."""
        known = list(choices)
        if node.text in known:
            return node.text
        if not self.complete:
            return None
        self.problems.add(
            f"no {what} is called {quoted(node.text)}",
            node.span,
            expected=", ".join(known) if known else f"there is no {what}",
            near=(node.text, known),
        )
        return None

    def _value(self, node: Node | None, bits: int) -> int:
        most = max(bits, 64)
        if node is None:
            return 0
        return self.number(node, low=-(1 << most - 1), high=(1 << most) - 1)

    def _word(self, value: int, node: Node | None, bits: int) -> int:
        if node is not None:
            value = self._within(value, -(1 << bits - 1), (1 << bits) - 1, node)
        return value & (1 << bits) - 1

    def _within(self, value: int, low: int, high: int, node: Node) -> int:
        if low <= value <= high:
            return value
        self.problems.add(
            "out of range",
            node.span,
            found=shown(value),
            expected=f"{shown(low)} to {shown(high)}",
        )
        return max(low, 0)

    def _named(self, node: Scalar, match: re.Match[str]) -> int:
        name, register, sign, digits, unit = match.groups()
        base = self.labels.get(name, self.devices.get(name))
        if base is None:
            self._unknown(name, node)
            return 0
        if register is not None:
            base = self._register_of(name, register, node)
        offset = magnitude_of(digits, unit) if sign else 0
        if sign:
            self._check_zero(digits, node)
        return base - offset if sign == "-" else base + offset

    def _register_of(self, device: str, name: str, node: Scalar) -> int:
        known = self.registers_of.get(device, {})
        if name in known:
            return known[name]
        if self.complete:
            kinds = _some(_of_each_kind(known))
            self.problems.add(
                f"{quoted(device)} has no register {quoted(name)}",
                node.span,
                expected=kinds or "an offset in bytes: device+0x18",
                help=register_meant(name, known),
            )
        return 0

    def _unknown(self, name: str, node: Scalar) -> None:
        if not self.complete:
            return
        known = [*self.labels, *self.devices]
        self.problems.add(
            f"no label and no device is called {quoted(name)}",
            node.span,
            expected=_some(known),
            help=number_meant(name)
            or ("" if known else "give the code a label, or name the address under `symbols`"),
            near=(name, known),
        )


def register_meant(name: str, known: Iterable[str]) -> str:
    """What to do about a register ``name`` that a device with those ``known`` has not."""
    known = list(known)
    upper = name.upper()
    for meant in (upper, upper.removeprefix("UART")):
        if meant in known:
            return f"did you mean `{meant}`?"
    return (
        did_you_mean(name, _of_each_kind(known))
        or f"models {', '.join(BY_MODEL)}, vgic-v2 and vgic-v3 have names for their registers"
    )


def _of_each_kind(registers: Iterable[str]) -> list[str]:
    """Of hundreds for interrupts the first of each kind is enough to show what there is."""
    return [name for name in registers if re.search(r"\D[0]?\Z", name)]


_FLAGS: Final = {"true": True, "false": False}


def _some(names: list[str], limit: int = 12) -> str:
    names = list(dict.fromkeys(names))
    more = f", … ({len(names) - limit} more)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more

"""An entry of `devices:` as its model reads it, and what a case needs of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct, field

from vcpu_scenario.case import CoalescedZone, Device, Gic, Ioeventfd
from vcpu_scenario.expectation import Typing
from vcpu_scenario.language.nodes import Map, Scalar
from vcpu_scenario.language.regions import Region
from vcpu_scenario.language.scope import IPA_LIMIT, Scope
from vcpu_scenario.source import quoted

DEFAULT_SIZE: Final = 0x1000


class Devices(Struct):
    """What a case needs of its devices, and where they are."""

    userspace: list[Device] = field(default_factory=list)
    gic: Gic | None = None
    ioeventfds: dict[str, Ioeventfd] = field(default_factory=dict)
    coalesced: list[CoalescedZone] = field(default_factory=list)
    addresses: dict[str, int] = field(default_factory=dict)
    registers: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """The addresses of registers that have a name, by device."""
    regions: list[Region] = field(default_factory=list)
    typing: list[Typing] = field(default_factory=list)


class Entry(NamedTuple):
    """One entry of ``devices:`` as its model reads it."""

    name: Scalar
    node: Map
    scope: Scope
    found: Devices
    reports: int
    """How many faults were reported before this entry was looked at."""

    def number(self, key: str, default: int = 0, high: int = IPA_LIMIT - 1) -> int:
        node = self.node.get(key)
        low = 1 if key == "size" else 0
        return default if node is None else self.scope.number(node, low=low, high=high)

    def region(self, kind: str, key: str, size: int) -> int:
        """Takes the address under ``key`` and notes the region; returns the address.

        A region in which anything is wrong is not noted, so that it overlaps no other by mistake.
        """
        low = self.number(key)
        at = self.node.get(key)
        span = at.span if at is not None else self.name.span
        if low + size > IPA_LIMIT:
            self.scope.problems.add(
                "beyond the guest's physical address space",
                span,
                found=f"an end at {low + size:#x}",
                expected=f"at most {IPA_LIMIT:#x}, 40 bits",
            )
        if self.scope.problems.reports == self.reports:
            name = f"the device {quoted(self.name.text)}"
            self.found.regions.append(Region(kind, name, low, low + size, span))
        self.found.addresses.setdefault(self.name.text, low)
        return low


def placed_at(base: int, offsets: Mapping[str, int]) -> dict[str, int]:
    return {name: base + offset for name, offset in offsets.items()}

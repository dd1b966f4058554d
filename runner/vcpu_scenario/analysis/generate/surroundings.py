"""What surrounds a generated guest: memory, devices, the interrupt controller."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from msgspec import Struct

from vcpu_scenario.case import CoalescedZone, Device, Gic, Ioeventfd, Memslot
from vcpu_scenario.vmm.pl011 import computed

PAGE: Final = 4096
VECTORS: Final = 0x800
"""Bytes of the table of vectors, and its alignment."""

UART: Final = 0x0900_0000
DISTRIBUTOR: Final = 0x0800_0000
REDISTRIBUTOR: Final = 0x080A_0000
CPU_INTERFACE: Final = 0x0801_0000
NOWHERE: Final = 0x0A00_0000
"""Where no device and no memory is."""

_BASES: Final = (0x4000_0000,) * 6 + (0x8000_0000, 0x1_0000_0000, 0xFF_C000_0000)
_SECOND: Final = 0x2000_0000


class Surroundings(Struct, frozen=True):
    """The map of a guest. ``ram`` holds its code; ``second`` is another slot, or None."""

    ram: Memslot
    second: Memslot | None
    gic: Gic | None
    uart: Device | None
    ioeventfds: tuple[Ioeventfd, ...]
    coalesced: tuple[CoalescedZone, ...]
    features: tuple[str, ...] = ()

    @property
    def slots(self) -> tuple[Memslot, ...]:
        return (self.ram,) if self.second is None else (self.ram, self.second)

    @property
    def elsewhere(self) -> int:
        """An address in the second slot, or in the void."""
        return NOWHERE if self.second is None else self.second.base


def surroundings(random: Random) -> Surroundings:
    base = random.choice(_BASES)
    return Surroundings(
        ram=Memslot(base, random.choice((1 << 20, 1 << 20, 64 << 10, 2 << 20))),
        second=_second(random),
        gic=_gic(random),
        uart=_uart(random) if random.random() < 0.8 else None,
        ioeventfds=tuple(_ioeventfds(random)),
        coalesced=tuple(_coalesced(random)),
    )


def _second(random: Random) -> Memslot | None:
    if random.random() < 0.4:
        return None
    size = random.choice((PAGE, 2 * PAGE, 16 * PAGE))
    return Memslot(_SECOND, size, readonly=random.random() < 0.7)


def _gic(random: Random) -> Gic | None:
    kind = random.random()
    if kind < 0.4:
        return Gic(3, DISTRIBUTOR, redist=REDISTRIBUTOR)
    if kind < 0.6:
        return Gic(2, DISTRIBUTOR, cpu=CPU_INTERFACE)
    return None


def _uart(random: Random) -> Device:
    model = random.choice(("registers", "scripted", "pl011", "replies-by-address"))
    offsets = sorted(random.sample(range(0, 0x200, 4), random.randrange(5)))
    registers = tuple(
        (offset, random.getrandbits(random.choice((8, 32, 64)))) for offset in offsets
    )
    replies: tuple[tuple[int, tuple[int, ...]], ...] = ()
    if model == "scripted":
        replies = tuple(
            (offset, tuple(random.getrandbits(64) for _ in range(random.randrange(1, 4))))
            for offset in sorted(random.sample(range(0, 0x40, 8), random.randrange(3)))
        )
    return Device(
        "uart",
        UART,
        0x1000,
        model,
        tuple(_shown(model, registers, {offset for offset, _ in replies})),
        replies,
        b"input" if model == "pl011" and random.random() < 0.5 else b"",
    )


def _shown(
    model: str, registers: tuple[tuple[int, int], ...], replied: set[int]
) -> Iterator[tuple[int, int]]:
    """What a scenario can say: registers that the model shows, none over another."""
    hidden = {*computed(interrupt=False)} if model == "pl011" else replied
    offsets = {offset for offset, _ in registers}
    for offset, value in registers:
        if offset not in hidden:
            yield offset, value & 0xFFFF_FFFF if offset + 4 in offsets else value


def _ioeventfds(random: Random) -> list[Ioeventfd]:
    """At addresses of their own: KVM refuses two that one write would signal, and a value to
    match without a width. A value is one that a write of the width can have."""
    found = []
    for offset in random.sample((0x100, 0x108, 0x180), random.choice((0, 0, 1, 2))):
        length = random.choice((0, 1, 2, 4, 8))
        match = random.choice((None, 0, 1, random.getrandbits(32)))
        if match is not None:
            match = match & (1 << 8 * length) - 1 if length else None
        found.append(Ioeventfd(UART + offset, length, match))
    return found


def _coalesced(random: Random) -> list[CoalescedZone]:
    zones = []
    for _ in range(random.choice((0, 0, 1, 2))):
        size = random.choice((4, 8, 16, 20))
        zones.append(CoalescedZone(UART + random.choice((0x200, 0x208, 0x300)), size))
    return zones

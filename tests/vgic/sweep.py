"""Guests that go over all registers of a vGIC: read, or written and read back, at one width.

Each keeps what it read, eight bytes an access, in order of the addresses.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from vcpu_scenario.case import Case, Gic, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

BASE: Final = 0x4000_0000
TABLE: Final = BASE + 0x10_0000
_SIZE: Final = 0x40_0000
_DIST: Final = 0x800_0000
_SECOND: Final = 0x80A_0000
_GICS: Final = {2: Gic(2, _DIST, cpu=_SECOND), 3: Gic(3, _DIST, _SECOND)}


@dataclass(frozen=True, slots=True)
class Region:
    """Registers of a GIC: where, and how many bytes."""

    name: str
    gic: int
    base: int
    size: int


REGIONS: Final = (
    Region("GICD of a GICv2", 2, _DIST, 0x1000),
    Region("GICC of a GICv2", 2, _SECOND, 0x2000),
    Region("GICD of a GICv3", 3, _DIST, 0x1000),
    Region("GICD of a GICv3, routing", 3, _DIST + 0x6000, 0x800),
    Region("GICD of a GICv3, identification", 3, _DIST + 0xFF80, 0x80),
    Region("GICR of a GICv3", 3, _SECOND, 0x200),
    Region("GICR of a GICv3, identification", 3, _SECOND + 0xFF80, 0x80),
    Region("GICR of a GICv3, SGIs", 3, _SECOND + 0x1_0000, 0x1000),
)
WIDTHS: Final = (1, 2, 4, 8)
VALUES: Final = (None, 0xFFFF_FFFF_FFFF_FFFF, 0x5A5A_5A5A_5A5A_5A5A, 0)
"""What is written before it is read back; None where it is only read."""


@dataclass(frozen=True, slots=True)
class Sweep:
    region: Region
    width: int
    value: int | None = None

    @property
    def name(self) -> str:
        does = "read" if self.value is None else f"written {self.value & 0xFF:#x}s"
        return f"{self.region.name}, {self.width} bytes, {does}"

    @property
    def step(self) -> int:
        return max(self.width, 4)

    @property
    def accesses(self) -> int:
        return self.region.size // self.step

    def address(self, number: int) -> int:
        """Of an access: narrow ones are made at each place within a word in turn."""
        within = number % 4 // self.width * self.width if self.width < 4 else 0
        return self.region.base + number * self.step + within


def sweeps() -> Iterator[Sweep]:
    for region, value, width in product(REGIONS, VALUES, WIDTHS):
        yield Sweep(region, width, value)


def case(sweep: Sweep) -> Case:
    """The guest: x0 runs over a table of addresses, x1 over the results."""
    addresses = [sweep.address(number) for number in range(sweep.accesses)]
    results = TABLE + _SIZE // 4
    return Case(
        slots=(Memslot(BASE, _SIZE),),
        loads=(
            Load(BASE, struct.pack(f"<{len(_CODE[sweep.width])}I", *_code(sweep))),
            Load(TABLE, struct.pack(f"<{len(addresses)}Q", *addresses)),
        ),
        regs=(
            ("pc", BASE),
            ("x0", TABLE),
            ("x1", results),
            ("x2", sweep.value or 0),
            ("x3", len(addresses)),
        ),
        gic=_GICS[sweep.region.gic],
        debug=GuestDebug(0x1_0001),
        observe=("x3",),
        limits=Limits(exits=1, instructions=2_000_000_000, seconds=120),
        peek=((results, 8 * len(addresses)),),
    )


def emulated(kernel: str, sweep: Sweep) -> Trace:
    """What the machine as ``kernel`` makes of it."""
    machine = create(kernel)
    try:
        return run_case(machine, case(sweep))
    finally:
        machine.close()


_LOADS: Final = {1: 0x3940_0085, 2: 0x7940_0085, 4: 0xB940_0085, 8: 0xF940_0085}
"""``ldrb w5, [x4]`` and its like."""
_STORES: Final = {1: 0x3900_0082, 2: 0x7900_0082, 4: 0xB900_0082, 8: 0xF900_0082}
"""``strb w2, [x4]`` and its like."""
_NOP: Final = 0xD503_201F
_CODE: Final = {
    width: (
        0xF840_8404,  # ldr x4, [x0], #8
        _STORES[width],
        _LOADS[width],
        0xF800_8425,  # str x5, [x1], #8
        0xD100_0463,  # sub x3, x3, #1
        0xB5FF_FF63,  # cbnz x3, the first
        0xD420_0000,  # brk #0
    )
    for width in WIDTHS
}


def _code(sweep: Sweep) -> tuple[int, ...]:
    first, store, *rest = _CODE[sweep.width]
    return first, _NOP if sweep.value is None else store, *rest


def results(trace: Trace) -> Sequence[int]:
    """What the guest read, in order."""
    (data,) = trace.memory.values()
    return [value for (value,) in struct.iter_unpack("<Q", data)]

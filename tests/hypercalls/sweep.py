"""A guest that calls every function of SMCCC and PSCI, and keeps what x0 to x3 are afterwards.

Left out is what ends the run or waits (CPU_SUSPEND, CPU_OFF, SYSTEM_*), and what is a matter of
time or chance (PTP, random numbers).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.trace import Trace

Call: TypeAlias = tuple[int, int]
"""x0 and x1."""
Answer: TypeAlias = tuple[int, int, int, int]

BASE: Final = 0x4000_0000
CALLS: Final = BASE + 0x10_0000
ANSWERS: Final = BASE + 0x40_0000
_SIZE: Final = 0x80_0000

_FUNCTIONS: Final = (
    *range(0x12),
    *range(0x20, 0x23),
    *range(0x50, 0x60),
    0x3FFE,
    0x3FFF,
    0x7FFF,
    0x8000,
    *range(0xFF00, 0xFF05),
)
_OWNERS: Final = (0x80, 0x83, 0x84, 0x85, 0x86, 0xBF, 0xC0, 0xC4, 0xC5, 0xC6, 0x00)
_ENDS: Final = frozenset({0x84_0001, 0x84_0002, 0x84_0008, 0x84_0009, 0x84_000E, 0x84_0012})
"""Without bit 30, that says how wide the arguments are, and without 15:12: PSCI's that wait, or end
the run."""
_ARGUMENTS: Final = (0, 1, 0x8000_8000, 0x8400_0001, 0xC400_000E, 0xC500_0020, (1 << 64) - 1)
_CHANCE: Final = frozenset({0x8600_0001, 0xC600_0001, 0x8400_0053, 0xC400_0053})
_PSCI_0_1: Final = (0x95C1_BA60, 0x95C1_BA61, 0x95C1_BA62)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One guest: whether it calls by SMC, with which immediate, and to PSCI 0.2 or 0.1."""

    smc: bool
    immediate: int
    psci_0_2: bool

    @property
    def title(self) -> str:
        psci = "0.2" if self.psci_0_2 else "0.1"
        return f"{'SMC' if self.smc else 'HVC'} #{self.immediate}, PSCI {psci}"


SWEEPS: Final = tuple(
    Sweep(smc, immediate, psci)
    for smc, immediate, psci in product((False, True), (0, 1), (True, False))
)


def _ends(function: int) -> bool:
    if function >> 24 & 0xBF != 0x84:
        return False
    return (0x84 << 16 | function & 0xFFFF) in _ENDS


def calls() -> Iterator[Call]:
    for owner, number, argument in product(_OWNERS, _FUNCTIONS, _ARGUMENTS):
        function = owner << 24 | number
        if function not in _CHANCE and not _ends(function):
            yield function, argument
    yield from product(_PSCI_0_1, _ARGUMENTS)
    yield from product((0xFFFF_FFFF, 0x1_8400_0000, 0xFFFF_FFFF_8400_0000), _ARGUMENTS)


def case(sweep: Sweep) -> Case:
    every = list(calls())
    call = (w.smc if sweep.smc else w.hvc)(sweep.immediate)
    code = [
        w.pair(1, w.POST, 0, 1, 20, 2),
        *w.mov(2, 0x2222),
        *w.mov(3, 0x3333),
        call,
        w.pair(0, w.POST, 0, 1, 21, 2),
        w.pair(0, w.POST, 2, 3, 21, 2),
        w.subtract_immediate(22, 22, 1),
    ]
    code += [w.cbz(22, -4 * len(code), not_zero=True), w.brk(0)]
    return Case(
        slots=(Memslot(BASE, _SIZE),),
        loads=(
            Load(BASE, struct.pack(f"<{len(code)}I", *code)),
            Load(CALLS, b"".join(struct.pack("<2Q", *call) for call in every)),
        ),
        regs=(("pc", BASE), ("x20", CALLS), ("x21", ANSWERS), ("x22", len(every))),
        debug=GuestDebug(0x1_0001),
        psci_0_2=sweep.psci_0_2,
        limits=Limits(exits=1, instructions=1 << 40, seconds=60),
        peek=((ANSWERS, 32 * len(every)),),
    )


def answers(trace: Trace) -> Sequence[Answer]:
    """In the order of the calls."""
    return list(struct.iter_unpack("<4Q", trace.memory[ANSWERS]))

"""A generated program as it is being written, and which register is for what.

Registers by use: x0 to x4 hold values, x9 a status, x10 points to the device, x11 to the
distributor, x12 to the second memory slot or into the void, x13 to data, x14 is for addresses of
the moment, x15 counts loops. The vectors use x5 to x8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from msgspec import Struct

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import Surroundings
from vcpu_scenario.arm64 import sysregs

DEVICE, DISTRIBUTOR_BASE, ELSEWHERE, DATA, ADDRESS, COUNTER = 10, 11, 12, 13, 14, 15
DATA_SIZE: Final = 0x40
RETURN_FROM_EL0: Final = 0xE1
"""The SVC by which code at EL0 asks for EL1."""


class Writing(Struct, frozen=True):
    """A program that is being written, and what it may draw on."""

    random: Random
    program: Program
    around: Surroundings

    def value(self) -> int:
        """A register that holds values."""
        return self.random.randrange(5)

    def loaded(self) -> int:
        """A register to load to: one that holds values, seldom XZR."""
        return 31 if self.random.random() < 0.05 else self.value()

    def emit(self, *words: int) -> None:
        self.program.emit(*words)

    def constant(self, rd: int, value: int) -> None:
        self.emit(*w.mov(rd, value))

    def change_sctlr(self, operation: str, bits: int) -> None:
        """Sets SCTLR_EL1 to what ``operation`` makes of it and of ``bits``."""
        self.emit(w.mrs(ADDRESS, sysregs.SCTLR_EL1))
        self.constant(9, bits)
        self.emit(w.operation(operation, ADDRESS, ADDRESS, 9))
        self.emit(w.msr(ADDRESS, sysregs.SCTLR_EL1), w.ISB)

    def visit_el0(
        self, kinds: Sequence[Block], states: Sequence[int] = (0, 0x3C0, 0x6000_0000), most: int = 5
    ) -> None:
        """To EL0 in one of ``states``, a few of ``kinds`` there, and back."""
        there = self.program.fresh()
        self.program.to(there, lambda offset: w.adr(ADDRESS, offset))
        self.emit(w.msr(ADDRESS, sysregs.ELR_EL1))
        self.constant(ADDRESS, self.random.choice(states))
        self.emit(w.msr(ADDRESS, sysregs.SPSR_EL1), w.ERET)
        self.program.label(there)
        for _ in range(self.random.randrange(1, most + 1)):
            self.random.choice(kinds)(self)
        self.emit(w.svc(RETURN_FROM_EL0))


Block = Callable[[Writing], None]

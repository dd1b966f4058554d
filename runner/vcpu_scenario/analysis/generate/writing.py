"""A generated program as it is being written, and which register is for what.

Registers by use: x0 to x4 hold values, x9 a status, x10 points to the device, x11 to the
distributor, x12 to the second memory slot or into the void, x13 to data, x14 is for addresses of
the moment, x15 counts loops. The vectors use x5 to x8.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import Surroundings

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


Block = Callable[[Writing], None]

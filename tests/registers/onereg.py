"""Surveys of every register that a vCPU has for its VMM: read, written back, written otherwise.

``KVM_GET_REG_LIST`` says which there are. Each is then written with other values, one at a time,
read back and put back to what it was. A fresh vCPU is asked most: there an ID register is written
with every value of every field, the others with every bit turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vcpu_scenario.case import Case, Gic, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm.registers import size_of, sys_reg
from vcpu_scenario.survey import (
    Answer,
    Ask,
    GetRegister,
    ListRegisters,
    PutRegister,
    RunOnce,
    Survey,
)

BASE: Final = 0x4000_0000
_BRK: Final = 0xD420_0000


@dataclass(frozen=True, slots=True)
class Situation:
    """A vCPU to ask: with which GIC, with PSCI 0.2, and whether it ``has_run``."""

    name: str
    gic: int = 0
    psci_0_2: bool = True
    has_run: bool = False
    fully: bool = False

    def case(self) -> Case:
        return Case(
            slots=(Memslot(BASE, 0x1_0000),),
            loads=(Load(BASE, _BRK.to_bytes(4, "little")),),
            regs=(("pc", BASE),),
            gic=_GICS[self.gic],
            psci_0_2=self.psci_0_2,
            debug=GuestDebug(0x1_0001),
            limits=Limits(exits=1),
        )

    def survey(self, asks: Iterable[Ask]) -> Survey:
        return Survey(self.case(), (*((RunOnce(),) if self.has_run else ()), *asks))

    def answers(self, given: Sequence[Answer]) -> Sequence[Answer]:
        """Those to what was asked of the situation, without those that make it."""
        return given[1:] if self.has_run else given


_GICS: Final = {0: None, 2: Gic(2, 0x800_0000, cpu=0x801_0000), 3: Gic(3, 0x800_0000, 0x80A_0000)}
SITUATIONS: Final = (
    Situation("fresh", fully=True),
    Situation("with a GICv3", gic=3),
    Situation("with a GICv2", gic=2),
    Situation("with PSCI 0.1", psci_0_2=False),
    Situation("after the first run", has_run=True),
)

_ID_REGISTERS: Final = range(sys_reg(3, 0, 0, 1, 0), sys_reg(3, 0, 0, 7, 7) + 1)
_FEW_BITS: Final = (0, 1, 31, 32, 63, 64, 96, 127)


def tried(reg: int, value: int, *, fully: bool) -> Iterator[int]:
    """What a register that holds ``value`` is written with."""
    bits = 8 * size_of(reg)
    varied = _varied(reg, value, bits, range(16) if fully else (0, 1))
    some = varied if fully or reg in _ID_REGISTERS else ()
    yield from dict.fromkeys((value, 0, (1 << bits) - 1, *some))


def _varied(reg: int, value: int, bits: int, fields: Iterable[int]) -> Iterator[int]:
    if reg in _ID_REGISTERS:
        for shift in range(0, bits, 4):
            for field in fields:
                yield value & ~(0xF << shift) | field << shift
    else:
        for bit in range(bits) if bits <= 64 else _FEW_BITS:
            yield value ^ 1 << bit


Written: TypeAlias = Mapping[int, Answer]
"""What a register holds after a value was written, or the negative errno of the write."""


def listed() -> Sequence[Ask]:
    return (ListRegisters(),)


def reads(registers: Iterable[int]) -> Sequence[Ask]:
    return tuple(GetRegister(reg) for reg in registers)


def writes(reg: int, value: int, *, fully: bool) -> Sequence[Ask]:
    """Three asks for each value that is tried."""
    return tuple(
        ask
        for other in tried(reg, value, fully=fully)
        for ask in (PutRegister(reg, other), GetRegister(reg), PutRegister(reg, value))
    )


def written(reg: int, value: int, answers: Sequence[Answer], *, fully: bool) -> Written:
    found = {}
    for number, other in enumerate(tried(reg, value, fully=fully)):
        put, got, _ = answers[3 * number : 3 * number + 3]
        found[other] = got if put == 0 else put
    return found


def every_encoding() -> Iterator[int]:
    """The id of each system register that can be said, whether or not there is one."""
    for op0 in (2, 3):
        for rest in range(1 << 14):
            yield sys_reg(op0, rest >> 11, rest >> 7 & 15, rest >> 3 & 15, rest & 7)

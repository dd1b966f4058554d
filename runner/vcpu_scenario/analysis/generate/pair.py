"""Two vCPUs that share a vGIC: SGIs between them, priorities, targets, enables, active state.

Each runs blocks of its own. Whatever one of them reads it tells, so that the VMM, which is one
thread, may let the other continue there; and so does each interrupt that is taken. At the end both
tell what the vGIC holds, again and again.

What they are made of is in :mod:`.pairwords` and :mod:`.pairblocks`.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.pairblocks import weighted
from vcpu_scenario.analysis.generate.pairwords import (
    CPU_BASE,
    ENABLES,
    EOIR,
    GICS,
    IAR,
    INTID,
    deactivate,
    enable,
    private,
    read_interface,
    store,
    tell,
    write_interface,
)
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import (
    CPU_INTERFACE,
    DISTRIBUTOR,
    UART,
    VECTORS,
    Surroundings,
)
from vcpu_scenario.analysis.generate.writing import DEVICE, DISTRIBUTOR_BASE, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.ioctls.vcpu import SetIrqLine, SetMpState
from vcpu_scenario.kvm import abi

_BASE: Final = 0x4000_0000
_RAM: Final = c.Memslot(_BASE, 1 << 20)
_EXITS: Final = 60
_SHOWN: Final = (0x80, 0x100, 0x200, 0x300)


def case(random: Random) -> c.Case:
    """A program for two vCPUs, and when it is whose turn."""
    gic = random.choice(GICS)
    around = Surroundings(_RAM, None, gic, None, (), ())
    to = Writing(random, Program(_BASE), around)
    starts = []
    for number in range(2):
        starts.append(to.program.here)
        _start(to, number)
        for block in random.choices(*weighted(gic), k=random.randint(4, 16)):
            block(to)
        _end(to)
    _vectors(to)
    first = (
        c.RunVcpu(1),
        c.SetRegister("pc", starts[1]),
        SetMpState(abi.KVM_MP_STATE_RUNNABLE),
        c.RunVcpu(0),
    )
    return c.Case(
        slots=around.slots,
        loads=to.program.loads(),
        regs=(("pc", _BASE),),
        gic=gic,
        vcpus=2,
        before=first,
        on=tuple(_course(random)),
        observe=("x0", "x5", "pstate"),
        final_regs=("x5", "pc", "elr_el1", "spsr_el1"),
        limits=c.Limits(exits=_EXITS, instructions=100_000, seconds=0.5),
    )


def _course(random: Random) -> Iterable[tuple[int, tuple[c.Action, ...]]]:
    """What the VMM does after each exit: whose turn it is, and the lines of devices."""
    for index in range(_EXITS):
        actions: list[c.Action] = []
        if random.random() < 0.2:
            actions.append(_line(random))
        if random.random() < 0.4:
            actions.append(c.RunVcpu(random.randrange(2)))
        if actions:
            yield index, tuple(actions)


def _line(random: Random) -> c.Action:
    if random.random() < 0.7:
        number = abi.KVM_ARM_IRQ_TYPE_SPI << abi.KVM_ARM_IRQ_TYPE_SHIFT | random.randrange(32, 36)
    else:
        kind = abi.KVM_ARM_IRQ_TYPE_PPI << abi.KVM_ARM_IRQ_TYPE_SHIFT
        number = kind | random.randrange(2) << 16 | random.choice((16, 20, 31))
    return SetIrqLine(number, int(random.random() < 0.6))


# -- what both have -------------------------------------------------------------------------------


def _start(to: Writing, number: int) -> None:
    """The vectors, and as much of the interrupt controller as lets most interrupts through."""
    random = to.random
    to.program.to("vectors", lambda offset: w.adr(20, offset))
    to.emit(w.msr(20, sysregs.VBAR_EL1))
    to.constant(DEVICE, UART)
    to.constant(DISTRIBUTOR_BASE, DISTRIBUTOR)
    to.constant(CPU_BASE, CPU_INTERFACE)
    store(to, DISTRIBUTOR, 3)
    store(to, private(to, number) + 0x100, 0xFFFF_FFFF)
    store(to, DISTRIBUTOR + 0x104, random.choice((0xFF, 0xFFFF_FFFF)))
    enable(to, 0xF0, random.choice(ENABLES))
    if random.random() < 0.7:
        to.emit(w.daifclr(3))


def _end(to: Writing) -> None:
    for offset in _SHOWN:
        tell(to, DISTRIBUTOR + offset)
        tell(to, DISTRIBUTOR + offset + 4)
    to.emit(w.access(w.WORD, w.STORE, 31, DEVICE, 0), w.b(-4))


def _vectors(to: Writing) -> None:
    """An interrupt is told; its end, its deactivation and a mask against the next may follow."""
    random, program = to.random, to.program
    ends, deactivates, masks = (random.random() < odds for odds in (0.7, 0.3, 0.6))
    program.align(VECTORS)
    program.label("vectors")
    for entry in range(16):
        program.align(0x80)
        if entry % 4 not in (1, 2):
            to.emit(w.b(0))
            continue
        group = int(entry % 4 == 1)
        read_interface(to, INTID, IAR[group])
        to.emit(w.access(w.WORD, w.STORE, INTID, DEVICE, 0))
        if ends:
            write_interface(to, INTID, EOIR[group])
        if deactivates:
            deactivate(to, INTID)
        if masks:
            for bit in (6, 7):
                to.emit(w.mrs(6, sysregs.SPSR_EL1), w.or_bit(6, 6, bit), w.msr(6, sysregs.SPSR_EL1))
        to.emit(w.ERET)

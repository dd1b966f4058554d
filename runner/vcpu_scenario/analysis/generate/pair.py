"""Two vCPUs that share a vGIC: SGIs between them, priorities, targets, enables, active state.

Each runs blocks of its own. Whatever one of them reads it tells, so that the VMM, which is one
thread, may let the other go on there; and so does each interrupt that is taken. At the end both
tell what the vGIC holds, again and again.

Registers: x10 points to the device that is told, x11 to the distributor, x12 to the GICv2's CPU
interface; x4 and x14 are of the moment, and the vectors use x5 and x6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import (
    CPU_INTERFACE,
    DISTRIBUTOR,
    REDISTRIBUTOR,
    UART,
    VECTORS,
    Surroundings,
)
from vcpu_scenario.analysis.generate.writing import (
    ADDRESS,
    DEVICE,
    DISTRIBUTOR_BASE,
    Block,
    Writing,
)
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm import abi

_BASE: Final = 0x4000_0000
_RAM: Final = c.Memslot(_BASE, 1 << 20)
_GICS: Final = (
    c.Gic(2, DISTRIBUTOR, cpu=CPU_INTERFACE),
    c.Gic(3, DISTRIBUTOR, redist=REDISTRIBUTOR),
)
_CPU_BASE, _VALUE, _INTID = 12, 4, 5
_SGI_FRAME, _REDISTRIBUTOR_SIZE = 0x1_0000, 0x2_0000
_EXITS: Final = 60
_BITMAPS: Final = (0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380)
"""From GICD_IGROUPR to GICD_ICACTIVER: a bit for each interrupt."""
_TIMERS: Final = 1 << 27 | 1 << 30
"""Whose interrupts are their own to raise."""
_SHOWN: Final = (0x80, 0x100, 0x200, 0x300)
_INTIDS: Final = (0, 1, 2, 5, 15, 16, 20, 31, 32, 33, 34, 40, 1023)
_ENABLES: Final = ((0, 1), (1, 1), (1, 1), (0, 0))
"""Of groups 0 and 1: never group 0 alone, for which QEMU's GICv3 never ends a maintenance interrupt
that kernels since 6.19 ask for."""


def case(random: Random) -> c.Case:
    """A program for two vCPUs, and when it is whose turn."""
    gic = random.choice(_GICS)
    around = Surroundings(_RAM, None, gic, None, (), ())
    to = Writing(random, Program(_BASE), around)
    starts = []
    for number in range(2):
        starts.append(to.program.here)
        _start(to, number)
        for block in random.choices(*_weighted(gic), k=random.randint(4, 16)):
            block(to)
        _end(to)
    _vectors(to)
    first = (
        c.RunVcpu(1),
        c.SetRegister("pc", starts[1]),
        c.SetMpState(abi.KVM_MP_STATE_RUNNABLE),
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
    return c.SetIrqLine(number, int(random.random() < 0.6))


# -- what both have -------------------------------------------------------------------------------


def _start(to: Writing, number: int) -> None:
    """The vectors, and as much of the interrupt controller as lets most interrupts through."""
    random = to.random
    to.program.to("vectors", lambda offset: w.adr(20, offset))
    to.emit(w.msr(20, sysregs.VBAR_EL1))
    to.constant(DEVICE, UART)
    to.constant(DISTRIBUTOR_BASE, DISTRIBUTOR)
    to.constant(_CPU_BASE, CPU_INTERFACE)
    _store(to, DISTRIBUTOR, 3)
    _store(to, _private(to, number) + 0x100, 0xFFFF_FFFF)
    _store(to, DISTRIBUTOR + 0x104, random.choice((0xFF, 0xFFFF_FFFF)))
    _enable(to, 0xF0, random.choice(_ENABLES))
    if random.random() < 0.7:
        to.emit(w.daifclr(3))


def _end(to: Writing) -> None:
    for offset in _SHOWN:
        _tell(to, DISTRIBUTOR + offset)
        _tell(to, DISTRIBUTOR + offset + 4)
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
        _read_interface(to, _INTID, _IAR[group])
        to.emit(w.access(w.WORD, w.STORE, _INTID, DEVICE, 0))
        if ends:
            _write_interface(to, _INTID, _EOIR[group])
        if deactivates:
            _deactivate(to, _INTID)
        if masks:
            for bit in (6, 7):
                to.emit(w.mrs(6, sysregs.SPSR_EL1), w.or_bit(6, 6, bit), w.msr(6, sysregs.SPSR_EL1))
        to.emit(w.ERET)


def _store(to: Writing, address: int, value: int, size: int = w.WORD) -> None:
    to.constant(ADDRESS, address)
    to.constant(_VALUE, value)
    to.emit(w.access(size, w.STORE, _VALUE, ADDRESS, 0))


def _tell(to: Writing, address: int, size: int = w.WORD) -> None:
    to.constant(ADDRESS, address)
    to.emit(w.access(size, w.LOAD, 0, ADDRESS, 0), w.access(w.WORD, w.STORE, 0, DEVICE, 0))


def _private(to: Writing, number: int) -> int:
    """Where the registers of a vCPU's own interrupts are, by their offsets in a distributor."""
    if to.around.gic == _GICS[0]:
        return DISTRIBUTOR
    return REDISTRIBUTOR + number * _REDISTRIBUTOR_SIZE + _SGI_FRAME


# -- the CPU interface, by registers of a GICv3 and their offsets in a GICv2's --------------------

_Register = tuple[sysregs.Encoding, int]
_PMR: Final[_Register] = sysregs.ICC_PMR_EL1, 0x4
_BPR: Final = ((sysregs.ICC_BPR0_EL1, 0x8), (sysregs.ICC_BPR1_EL1, 0x1C))
_IAR: Final = ((sysregs.ICC_IAR0_EL1, 0xC), (sysregs.ICC_IAR1_EL1, 0xC))
_EOIR: Final = ((sysregs.ICC_EOIR0_EL1, 0x10), (sysregs.ICC_EOIR1_EL1, 0x10))
_READ: Final = (
    *_IAR,
    *_BPR,
    _PMR,
    (sysregs.ICC_HPPIR0_EL1, 0x18),
    (sysregs.ICC_HPPIR1_EL1, 0x18),
    (sysregs.ICC_RPR_EL1, 0x14),
    (sysregs.ICC_AP1R0_EL1, 0xD0),
    (sysregs.ICC_CTLR_EL1, 0),
)
_DIR: Final = 0x1000


def _is_v2(to: Writing) -> bool:
    return to.around.gic == _GICS[0]


def _read_interface(to: Writing, register: int, what: _Register) -> None:
    if _is_v2(to):
        to.emit(w.access(w.WORD, w.LOAD, register, _CPU_BASE, what[1] // 4))
    else:
        to.emit(w.mrs(register, what[0]))


def _write_interface(to: Writing, register: int, what: _Register) -> None:
    if _is_v2(to):
        to.emit(w.access(w.WORD, w.STORE, register, _CPU_BASE, what[1] // 4))
    else:
        to.emit(w.msr(register, what[0]), w.ISB)


def _deactivate(to: Writing, register: int) -> None:
    if _is_v2(to):
        to.constant(6, CPU_INTERFACE + _DIR)
        to.emit(w.access(w.WORD, w.STORE, register, 6, 0))
    else:
        to.emit(w.msr(register, sysregs.ICC_DIR_EL1))


def _enable(to: Writing, mask: int, groups: tuple[int, int]) -> None:
    to.constant(_VALUE, mask)
    _write_interface(to, _VALUE, _PMR)
    if _is_v2(to):
        to.constant(_VALUE, groups[0] | groups[1] << 1 | to.random.choice((0, 4, 0x200)))
        to.emit(w.access(w.WORD, w.STORE, _VALUE, _CPU_BASE, 0))
        return
    # Group 0 goes off first and comes on last.
    for group, value in ((0, 0), (1, groups[1]), (0, groups[0])):
        to.constant(_VALUE, value)
        to.emit(w.msr(_VALUE, (sysregs.ICC_IGRPEN0_EL1, sysregs.ICC_IGRPEN1_EL1)[group]), w.ISB)


# -- blocks ---------------------------------------------------------------------------------------


def _sgi(to: Writing) -> None:
    """To either vCPU, both or none, by number or as all but oneself."""
    random, intid = to.random, to.random.choice((0, 1, 2, 5, 15))
    targets = random.choice((0, 1, 2, 2, 3, 3, 4))
    others = random.random() < 0.3
    if _is_v2(to):
        filter_ = random.choice((1, 2)) if others else 0
        secure = random.randrange(2) << 15
        _store(to, DISTRIBUTOR + 0xF00, filter_ << 24 | targets << 16 | secure | intid)
        return
    to.constant(_VALUE, others << 40 | intid << 24 | targets)
    registers = (sysregs.ICC_SGI1R_EL1,) * 4 + (sysregs.ICC_SGI0R_EL1, sysregs.ICC_ASGI1R_EL1)
    to.emit(w.msr(_VALUE, random.choice(registers)), w.ISB)


def _sources(to: Writing) -> None:
    """A GICv2's SGIs made pending from any source, or taken back."""
    offset = to.random.choice((0xF10, 0xF10, 0xF20)) + to.random.randrange(4) * 4
    _store(to, DISTRIBUTOR + offset, to.random.getrandbits(32) & 0x0303_0303)


def _bitmap(to: Writing) -> None:
    random = to.random
    value = random.getrandbits(32)
    if random.random() < 0.6:
        value &= 0x8011_000F
    offset = random.choice(_BITMAPS)
    if random.random() < 0.5:
        _store(to, DISTRIBUTOR + offset + 4, value)
    else:
        _store(to, _private(to, random.randrange(2)) + offset, value & ~_TIMERS)


def _priority(to: Writing) -> None:
    random, intid = to.random, to.random.choice(_INTIDS[:-1])
    base = DISTRIBUTOR if intid >= 32 else _private(to, random.randrange(2))
    value = random.choice((0, 8, 0x40, 0x80, 0xA0, 0xF0, 0xF8))
    _store(to, base + 0x400 + intid, value, w.BYTE)


def _target(to: Writing) -> None:
    intid = to.random.randrange(32, 36)
    if _is_v2(to):
        _store(to, DISTRIBUTOR + 0x800 + intid, to.random.randrange(4), w.BYTE)
    else:
        affinity = to.random.choice((0, 1, 1, 2, 0x100, 1 << 31))
        _store(to, DISTRIBUTOR + 0x6000 + 8 * intid, affinity, w.DOUBLE)


def _configuration(to: Writing) -> None:
    """Edges or levels; the distributor on or off."""
    if to.random.random() < 0.7:
        _store(to, DISTRIBUTOR + 0xC08, to.random.getrandbits(32))
    else:
        _store(to, DISTRIBUTOR, to.random.choice((0, 1, 2, 3, 3)))


def _interface(to: Writing) -> None:
    random = to.random
    kind = random.random()
    if kind < 0.4:
        mask = random.choice((0xF0, 0xF0, 0xF8, 0xA0, 0x80, 0x40, 0))
        _enable(to, mask, random.choice(_ENABLES))
    elif kind < 0.7:
        to.constant(_VALUE, random.randrange(8))
        _write_interface(to, _VALUE, random.choice(_BPR))
    elif not _is_v2(to):
        to.constant(_VALUE, random.randrange(4))
        _write_interface(to, _VALUE, (sysregs.ICC_CTLR_EL1, 0))


def _show(to: Writing) -> None:
    _read_interface(to, 0, to.random.choice(_READ))
    to.emit(w.access(w.WORD, w.STORE, 0, DEVICE, 0))


def _finish(to: Writing) -> None:
    """The end of an interrupt that was taken, or of any; its deactivation; or both."""
    random = to.random
    if random.random() < 0.4:
        _read_interface(to, _VALUE, random.choice(_IAR))
    else:
        to.constant(_VALUE, random.choice(_INTIDS))
    if random.random() < 0.7:
        _write_interface(to, _VALUE, random.choice(_EOIR))
    if random.random() < 0.5:
        _deactivate(to, _VALUE)


def _mask(to: Writing) -> None:
    to.emit(to.random.choice((w.daifclr(3), w.daifclr(2), w.daifset(3))))


def _look(to: Writing) -> None:
    base = to.random.choice((DISTRIBUTOR + 4, _private(to, 0), _private(to, 1)))
    _tell(to, base + to.random.choice((*_BITMAPS, 0x400, 0xC04)))


def _weighted(gic: c.Gic) -> tuple[list[Block], list[int]]:
    blocks: dict[Callable[[Writing], None], int] = {
        _sgi: 6,
        _sources: 2 if gic.version == 2 else 0,
        _bitmap: 5,
        _priority: 3,
        _target: 2,
        _configuration: 1,
        _interface: 3,
        _show: 3,
        _finish: 3,
        _mask: 3,
        _look: 3,
    }
    return list(blocks), list(blocks.values())

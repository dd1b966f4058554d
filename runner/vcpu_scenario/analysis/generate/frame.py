"""What every generated program has around its blocks: a start, an end, data, vectors, tables.

The vectors count exceptions in x8 and continue behind the instruction that made one; an SVC that
asks for EL1 gets it, a jump into the void comes back by its link, and an interrupt is
acknowledged and then masked, so that a program ends whatever it meets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from random import Random
from typing import Final

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import (
    DISTRIBUTOR,
    PAGE,
    UART,
    VECTORS,
    Surroundings,
)
from vcpu_scenario.analysis.generate.writing import (
    DATA,
    DATA_SIZE,
    DEVICE,
    DISTRIBUTOR_BASE,
    ELSEWHERE,
    RETURN_FROM_EL0,
    Block,
    Writing,
)
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Load, Memslot

_SYSTEM_OFF: Final = 0x8400_0008
_SYSTEM_RESET: Final = 0x8400_0009


def write(
    random: Random, around: Surroundings, blocks: Iterable[Block], first: Block | None = None
) -> tuple[Program, tuple[int, ...]]:
    """The program, and the address at which each of its blocks starts. ``first`` comes ahead of
    them, and no action speaks of it."""
    program = Program(around.ram.base)
    to = Writing(random, program, around)
    _start(to)
    if first is not None:
        first(to)
    places = []
    for block in blocks:
        places.append(program.here)
        block(to)
    places.append(program.here)
    _end(to)
    program.align(16)
    program.label("data")
    program.quads(random.getrandbits(64) for _ in range(DATA_SIZE // 8))
    _vectors(to)
    return program, tuple(places)


def _start(to: Writing) -> None:
    program = to.program
    program.to("vectors", lambda offset: w.adr(20, offset))
    to.emit(w.msr(20, sysregs.VBAR_EL1))
    to.constant(DEVICE, UART)
    to.constant(DISTRIBUTOR_BASE, DISTRIBUTOR)
    to.constant(ELSEWHERE, to.around.elsewhere)
    program.to("data", lambda offset: w.adr(DATA, offset))
    for register in range(to.random.randrange(5)):
        to.constant(register, to.random.getrandbits(to.random.choice((8, 16, 64))))


def _end(to: Writing) -> None:
    """Switched off mostly; else a breakpoint to stop at for ever, or a loop."""
    kind = to.random.random()
    if kind < 0.85:
        to.constant(0, _SYSTEM_OFF if kind < 0.75 else _SYSTEM_RESET)
        to.emit(w.hvc())
    elif kind < 0.95:
        to.emit(w.brk(0xFFF))
    to.emit(w.b(0))


# -- exceptions ----------------------------------------------------------------------------------

_IABT: Final = 0x21
_SVC: Final = 0x15


def _vectors(to: Writing) -> None:
    program = to.program
    program.align(VECTORS)
    program.label("vectors")
    for entry in range(16):
        program.align(0x80)
        program.to(("synchronous", "interrupt", "count", "count")[entry % 4], w.b)
    program.align(0x80)
    _synchronous(to)
    program.label("interrupt")
    _acknowledge(to)
    # An interrupt is taken once each time that it is unmasked: its line may stay high.
    to.emit(w.mrs(5, sysregs.SPSR_EL1), w.or_bit(5, 5, 7), w.msr(5, sysregs.SPSR_EL1))
    program.label("count")
    to.emit(w.add_immediate(8, 8, 1), w.ERET)


def _synchronous(to: Writing) -> None:
    program = to.program
    program.label("synchronous")
    to.emit(
        w.mrs(5, sysregs.ESR_EL1),
        w.mrs(6, sysregs.ELR_EL1),
        w.shift_right(7, 5, 26),
        w.compare(7, _SVC),
    )
    program.to("svc", lambda offset: w.b_cond(w.EQ, offset))
    to.emit(w.compare(7, _IABT))
    program.to("linked", lambda offset: w.b_cond(w.EQ, offset))
    to.emit(w.add_immediate(6, 6, 4), w.msr(6, sysregs.ELR_EL1))
    program.to("count", w.b)
    program.label("linked")
    to.emit(w.msr(30, sysregs.ELR_EL1))
    program.to("count", w.b)
    program.label("svc")
    to.emit(w.low_half(7, 5), w.compare(7, RETURN_FROM_EL0))
    program.to("count", lambda offset: w.b_cond(w.NE, offset))
    to.constant(7, 0x3C5)
    to.emit(w.msr(7, sysregs.SPSR_EL1))
    program.to("count", w.b)


def _acknowledge(to: Writing) -> None:
    gic = to.around.gic
    if gic is None:
        return
    if gic.version == 3:
        to.emit(w.mrs(5, sysregs.ICC_IAR1_EL1), w.msr(5, sysregs.ICC_EOIR1_EL1))
    else:
        to.constant(6, gic.cpu)
        to.emit(w.access(w.WORD, w.LOAD, 5, 6, 3), w.access(w.WORD, w.STORE, 5, 6, 4))


# -- stage 1 -------------------------------------------------------------------------------------

_TABLE_FLAGS: Final = 0x701
"""A block: access flag, inner shareable, writable at EL1 alone, attribute 0."""
_DEVICE_FLAGS: Final = 0x705
_EL0_TOO: Final = 0x40
_GIGABYTE: Final = 1 << 30
_T0SZ: Final = 25
"""39 bits of address: one table of 512 blocks of a gigabyte."""


def mmu_on(to: Writing) -> None:
    """Stage 1 by :func:`tables`."""
    to.constant(9, _table(to.around.ram))
    to.emit(w.msr(9, sysregs.TTBR0_EL1))
    to.constant(9, 0x04FF)  # attribute 0 normal, 1 device nGnRE
    to.emit(w.msr(9, sysregs.MAIR_EL1))
    to.constant(9, _T0SZ | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32)
    to.emit(
        w.msr(9, sysregs.TCR_EL1),
        w.ISB,
        w.mrs(9, sysregs.SCTLR_EL1),
        w.or_bit(9, 9, 0),
        w.msr(9, sysregs.SCTLR_EL1),
        w.ISB,
    )


def _table(ram: Memslot) -> int:
    return ram.base + ram.size - PAGE


def tables(random: Random, ram: Memslot) -> Load:
    """A table that maps what there is to itself: devices below 1 GiB, memory above."""
    user = _EL0_TOO if random.random() < 0.5 else 0
    entries = [_DEVICE_FLAGS | user]
    entries += [
        _GIGABYTE * n | _TABLE_FLAGS | user if 1 <= n <= 8 or n == ram.base >> 30 else 0
        for n in range(1, 512)
    ]
    return Load(_table(ram), struct.pack("<512Q", *entries))

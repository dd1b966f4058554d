"""A guest that runs many words, each with the same registers, and keeps what came of each.

Each word has a slot of its own, which ends in an SVC: whatever it does, an exception to EL1
follows. The handler keeps four numbers of 32 bits: ESR_EL1, how far from its slot the exception
was taken, FAR_EL1, and a checksum of all registers. Stage 1 maps the guest's memory alone, so that
no access leaves the guest.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Final, TypeAlias

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.trace import Trace

Outcome: TypeAlias = tuple[int, int, int, int]

BASE: Final = 0x4000_0000
TABLES: Final = BASE + 0x8000
SAVED: Final = BASE + 0xA000
INITIAL: Final = BASE + 0xB000
SLOTS: Final = BASE + 0x10_0000
DATA: Final = BASE + 0x30_0000
"""Where the registers point to, in the middle of what may be written and not executed."""
RESULTS: Final = BASE + 0x40_0000
_SIZE: Final = 0x80_0000
_REACH: Final = 0x1_0000
"""Of the immediate offset of a load or store."""
MOST: Final = 0x10_0000 // 16

_SCTLR: Final = (3, 0, 1, 0, 0)
_VBAR: Final = (3, 0, 12, 0, 0)
_SPSR: Final = (3, 0, 4, 0, 0)
_ELR: Final = (3, 0, 4, 0, 1)
_ESR: Final = (3, 0, 5, 2, 0)
_FAR: Final = (3, 0, 6, 0, 0)
_TPIDR: Final = (3, 0, 13, 0, 4)
_FPCR: Final = (3, 3, 4, 4, 0)
_FPSR: Final = (3, 3, 4, 4, 1)
_SP_AT: Final = 0xF8
_PSTATE_AT: Final = 0x100
_FPSR_AT: Final = 0x108
_STATE_AT: Final = 0x800
"""Beside the saved registers: the current slot, where its outcome goes, how many are left."""
_VECTORS_AT: Final = 0x200


def case(words: Sequence[int], *, fp: bool) -> Case:
    """The guest that runs ``words`` in order, with FP on or off."""
    assert len(words) <= MOST
    program = _program(fp=fp)
    slots = b"".join(struct.pack("<4I", word, *(w.svc(n) for n in (1, 2, 3))) for word in words)
    return Case(
        slots=(Memslot(BASE, _SIZE),),
        loads=(
            *program.loads(),
            Load(TABLES, _tables()),
            Load(INITIAL, _initial()),
            Load(SAVED + _STATE_AT, struct.pack("<3Q", SLOTS, RESULTS, len(words))),
            Load(SLOTS, slots),
            Load(DATA - 0x400, Random("words").randbytes(0x800)),
        ),
        regs=(
            ("pc", BASE),
            ("pstate", 0x3C5),
            ("vbar_el1", program.address("vectors")),
            ("ttbr0_el1", TABLES),
            ("mair_el1", 0xFF),
            ("tcr_el1", 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32),
            ("x20", TABLES),
            ("x21", 0x30C5_0838 | 1 | 1 << 2 | 1 << 12),
            ("cpacr_el1", 3 << 20 if fp else 0),
        ),
        debug=GuestDebug(0x1_0001),
        observe=("x0",),
        limits=Limits(exits=1, instructions=1 << 40, seconds=120),
        peek=((RESULTS, 16 * len(words)), (DATA - _REACH, 2 * _REACH)),
    )


def outcomes(trace: Trace) -> Sequence[Outcome]:
    """What came of each word, in order."""
    return list(struct.iter_unpack("<4I", trace.memory[RESULTS]))


def data(trace: Trace) -> bytes:
    """What the words made of the memory."""
    return trace.memory[DATA - _REACH]


def _tables() -> bytes:
    """A table of gigabytes, whose one entry is a table of blocks of 2 MiB."""
    blocks = [BASE + (n << 21) | 0x701 for n in range(_SIZE >> 21)]
    blocks[(DATA - BASE) >> 21] |= 3 << 53
    return struct.pack("<512Q", 0, TABLES + 0x1000 | 3, *[0] * 510) + struct.pack(
        "<512Q", *blocks, *[0] * (512 - len(blocks))
    )


def _initial() -> bytes:
    """Registers: every second is an address, of which some are not aligned."""
    random = Random("registers")
    general = [
        DATA + 64 * n + (3 if n % 8 == 6 else 0)
        if n % 2 == 0
        else random.getrandbits(random.choice((4, 8, 32, 64)))
        for n in range(31)
    ]
    floats = [random.choice(_FLOATS) << 64 | random.choice(_FLOATS) for _ in range(32)]
    return (struct.pack("<31Q", *general) + struct.pack("<3Q", DATA + 0x200, 0x6000_03C5, 0)).ljust(
        0x200, b"\0"
    ) + b"".join(value.to_bytes(16, "little") for value in floats)


_FLOATS: Final = (
    0x3FF0_0000_0000_0000,
    0xC000_0000_BF80_0000,
    0x7FF0_0000_7F80_0000,
    0x7FF8_0000_7FC0_0001,
    0x7FF0_0000_0000_0001,
    0x7F80_0001_FF80_0001,
    0x000F_0000_0000_1234,
    0x8000_0000_8000_0000,
    0x41DF_FFFF_FFE0_0000,
    0x0123_4567_89AB_CDEF,
    0xFFFF_FFFF_FFFF_FFFF,
    0,
)


def _program(*, fp: bool) -> Program:
    program = Program(BASE)
    # A table that the guest never touched is one over which some kernels loop for ever (README).
    program.emit(w.access(w.DOUBLE, w.LOAD, 1, 20, 0), w.access(w.DOUBLE, w.LOAD, 1, 20, 512))
    program.emit(w.msr(21, _SCTLR), w.ISB)
    program.to("next", w.b)
    program.align(0x800)
    program.label("vectors")
    for _ in range(16):
        program.align(0x80)
        program.to("handler", w.b)
    program.align(0x80)
    program.label("handler")
    _save(program, fp=fp)
    _checksum(program, fp=fp)
    _keep(program)
    program.label("next")
    _start(program, fp=fp)
    return program


def _save(program: Program, *, fp: bool) -> None:
    emit = program.emit
    emit(w.msr(30, _TPIDR), *w.mov(30, SAVED))
    for n in range(0, 30, 2):
        emit(w.pair(0, w.OFFSET, n, n + 1, 30, n))
    emit(w.mrs(1, _TPIDR), w.access(w.DOUBLE, w.STORE, 1, 30, 30))
    emit(w.add_immediate(1, 31, 0), w.access(w.DOUBLE, w.STORE, 1, 30, _SP_AT // 8))
    emit(w.mrs(1, _SPSR), w.access(w.DOUBLE, w.STORE, 1, 30, _PSTATE_AT // 8))
    if fp:
        emit(w.mrs(1, _FPSR), w.access(w.DOUBLE, w.STORE, 1, 30, _FPSR_AT // 8))
        emit(w.add_immediate(2, 30, 0x200))
        for n in range(0, 32, 2):
            emit(w.pair(0, w.OFFSET, n, n + 1, 2, n) | 1 << 26)


def _checksum(program: Program, *, fp: bool) -> None:
    """Of what is saved, to x0."""
    program.emit(w.movz(0, 0))
    for first, count in ((0, 34), (0x200, 64 if fp else 0)):
        if not count:
            continue
        again = program.fresh()
        program.emit(w.add_immediate(2, 30, first), w.movz(3, count))
        program.label(again)
        program.emit(
            w.access_indexed(w.DOUBLE, w.LOAD, w.POST, 4, 2, 8),
            w.crc32x(0, 0, 4),
            w.subtract_immediate(3, 3, 1),
        )
        program.to(again, lambda offset: w.cbz(3, offset, not_zero=True))


def _keep(program: Program) -> None:
    """The outcome, and on to the next slot."""
    emit = program.emit
    emit(w.add_immediate(5, 30, _STATE_AT), w.pair(1, w.OFFSET, 6, 7, 5, 0))
    emit(w.mrs(1, _ESR), w.mrs(2, _ELR), w.operation("sub", 2, 2, 6), w.mrs(3, _FAR))
    emit(w.pair(0, w.OFFSET, 1, 2, 7, 0, wide=0), w.pair(0, w.OFFSET, 3, 0, 7, 2, wide=0))
    emit(w.add_immediate(6, 6, 16), w.add_immediate(7, 7, 16), w.pair(0, w.OFFSET, 6, 7, 5, 0))
    emit(w.access(w.DOUBLE, w.LOAD, 8, 5, 2), w.subtract_immediate(8, 8, 1))
    emit(w.access(w.DOUBLE, w.STORE, 8, 5, 2))
    program.to("next", lambda offset: w.cbz(8, offset, not_zero=True))
    emit(w.brk(0))


def _start(program: Program, *, fp: bool) -> None:
    emit = program.emit
    emit(w.msr(31, _FAR), *w.mov(30, SAVED), w.add_immediate(5, 30, _STATE_AT))
    emit(w.access(w.DOUBLE, w.LOAD, 6, 5, 0), w.msr(6, _ELR))
    emit(*w.mov(30, INITIAL))
    if fp:
        emit(w.msr(31, _FPCR), w.msr(31, _FPSR), w.add_immediate(2, 30, 0x200))
        for n in range(0, 32, 2):
            emit(w.pair(1, w.OFFSET, n, n + 1, 2, n) | 1 << 26)
    emit(w.access(w.DOUBLE, w.LOAD, 1, 30, _SP_AT // 8), w.add_immediate(31, 1, 0))
    emit(w.access(w.DOUBLE, w.LOAD, 1, 30, _PSTATE_AT // 8), w.msr(1, _SPSR))
    for n in range(0, 30, 2):
        emit(w.pair(1, w.OFFSET, n, n + 1, 30, n))
    emit(w.access(w.DOUBLE, w.LOAD, 30, 30, 30), w.ERET)

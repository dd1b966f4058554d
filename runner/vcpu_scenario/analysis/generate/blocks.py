"""What generated programs are made of: short runs of instructions, each about one thing."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from vcpu_scenario.analysis.generate import gicblocks, systemblocks
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.writing import (
    ADDRESS,
    COUNTER,
    DATA,
    DATA_SIZE,
    DEVICE,
    DISTRIBUTOR_BASE,
    ELSEWHERE,
    Block,
    Writing,
)

_SCTLR_EE: Final = 1 << 25


def _arithmetic(to: Writing) -> None:
    random = to.random
    for _ in range(random.randrange(1, 4)):
        rd, rn, rm, sf = to.value(), to.value(), to.value(), random.randrange(2)
        to.emit(
            random.choice(
                (
                    w.operation(random.choice(list(w.REGISTER_OPERATIONS)), rd, rn, rm, sf),
                    w.add_immediate(rd, rn, random.randrange(4096), sf),
                    w.subtract_immediate(rd, rn, random.randrange(4096), flags=True, sf=sf),
                    w.csel(rd, rn, rm, random.randrange(15), sf),
                    w.movz(rd, random.getrandbits(16), random.choice((0, 16)), sf),
                    w.crc32x(rd, rn, rm),
                )
            )
        )


def _base(to: Writing) -> tuple[int, int]:
    """A register that points somewhere, and how far beyond it an access may lie."""
    return to.random.choice(
        (
            (DEVICE, 0x240),
            (DEVICE, 0x240),
            (DEVICE, 0x240),
            (DATA, DATA_SIZE),
            (DATA, DATA_SIZE),
            (DISTRIBUTOR_BASE, 0x200),
            (ELSEWHERE, 0x80),
        )
    )


_SIGNED: Final = {w.BYTE: (2, 3), w.HALF: (2, 3), w.WORD: (2,), w.DOUBLE: ()}


def _kind(random: Random, size: int) -> int:
    return random.choice((w.STORE, w.LOAD, *_SIGNED[size]))


def _access(to: Writing) -> None:
    random = to.random
    base, reach = _base(to)
    size = random.choices((w.BYTE, w.HALF, w.WORD, w.DOUBLE), (2, 2, 5, 3))[0]
    offset = random.randrange(reach >> size)
    if base == DEVICE and random.random() < 0.3:
        offset = random.choice((0x0, 0x18, 0x100, 0x104, 0x180, 0x200, 0x208)) >> size
    to.emit(w.access(size, _kind(random, size), to.loaded(), base, offset))


def _access_otherwise(to: Writing) -> None:
    """Addressing that is unscaled, unprivileged, by register, ordered, or literal."""
    random = to.random
    base, reach = _base(to)
    size = random.randrange(4)
    rt = to.loaded()
    kind = _kind(random, size)
    form = random.randrange(5)
    if form == 0:
        to.emit(w.access_indexed(size, kind, w.UNSCALED, rt, base, random.randrange(0, 64)))
    elif form == 1:
        to.emit(w.access_indexed(size, kind, w.UNPRIVILEGED, rt, base, random.randrange(0, 64)))
    elif form == 2:
        to.constant(ADDRESS, random.randrange(min(reach, 64) >> size))
        to.emit(w.access_register(size, kind, rt, base, ADDRESS, scaled=True))
    elif form == 3:
        to.emit(w.ordered(size, random.randrange(2), rt, base))
    else:
        opc = random.randrange(3)
        to.program.to("data", lambda offset: w.load_literal(rt, offset, opc))


def _access_without_syndrome(to: Writing) -> None:
    """Forms whose aborts do not say what they were about."""
    random = to.random
    base, _ = _base(to)
    load, rt = random.randrange(2), to.value()
    rt2 = (rt + 1) % 5
    mode = random.choice((w.POST, w.OFFSET, w.PRE))
    size = random.randrange(4)
    moving = mode != w.OFFSET
    if moving:
        to.emit(w.add_immediate(ADDRESS, base, 0))
        base = ADDRESS
    to.emit(
        random.choice(
            (
                w.pair(load, mode, rt, rt2, base, random.randrange(-2, 4)),
                w.pair(load, mode, rt, rt2, base, random.randrange(-2, 4), wide=0),
                w.access_indexed(size, load, mode if moving else w.UNSCALED, rt, base, 8),
                w.vector_access(size, load, rt, base, random.randrange(4)),
                w.structure(load, rt, base),
                w.atomic_add(w.DOUBLE, rt, rt2, base),
                w.prefetch(base, 1),
                w.system(random.choice((w.DC_CIVAC, w.DC_CVAU, w.DC_ZVA)), base),
            )
        )
    )


def _exclusives(to: Writing) -> None:
    base = to.random.choice((DATA, DATA, DEVICE))
    size = to.random.choice((w.WORD, w.DOUBLE))
    to.emit(
        w.exclusive(size, 1, to.value(), base),
        w.exclusive(size, 0, to.value(), base, status=9),
    )


def _stack(to: Writing) -> None:
    """The other stack pointer for a while."""
    to.emit(w.spsel(0))
    _arithmetic(to)
    to.emit(w.add_immediate(31, DATA, 16), w.spsel(1))


def _branch(to: Writing) -> None:
    """Over a few instructions, taken or not."""
    random, program = to.random, to.program
    over, rt, bit = program.fresh(), to.value(), random.randrange(64)
    condition, not_zero = random.randrange(15), random.random() < 0.5
    form = random.randrange(5)
    if form == 0:
        program.to(over, w.b)
    elif form == 1:
        program.to(over, lambda offset: w.b_cond(condition, offset))
    elif form == 2:
        program.to(over, lambda offset: w.cbz(rt, offset, not_zero=not_zero))
    elif form == 3:
        program.to(over, lambda offset: w.tbz(rt, bit, offset, not_zero=not_zero))
    else:
        program.to(over, lambda offset: w.adr(ADDRESS, offset))
        to.emit(w.br(ADDRESS))
    for _ in range(random.randrange(1, 4)):
        random.choice((_arithmetic, _access))(to)
    program.label(over)


def _loop(to: Writing) -> None:
    program = to.program
    again = program.fresh()
    to.emit(w.movz(COUNTER, to.random.randrange(1, 5)))
    program.label(again)
    to.random.choice((_arithmetic, _access, _access))(to)
    to.emit(w.subtract_immediate(COUNTER, COUNTER, 1))
    program.to(again, lambda offset: w.cbz(COUNTER, offset, not_zero=True))


def _call(to: Writing) -> None:
    program = to.program
    function, after = program.fresh(), program.fresh()
    program.to(function, lambda offset: w.b(offset, link=True))
    program.to(after, w.b)
    program.label(function)
    _arithmetic(to)
    to.emit(w.RET)
    program.label(after)


def _el0(to: Writing) -> None:
    """To EL0 and back by an SVC that the vectors know."""
    kinds = (_arithmetic, _access, systemblocks.exception, systemblocks.hint)
    to.visit_el0(kinds, (0, 0x3C0), 3)


def _big_endian(to: Writing) -> None:
    """Data accesses at EL1 are big-endian for a while."""
    to.change_sctlr("eor", _SCTLR_EE)
    _access(to)
    _access(to)
    to.change_sctlr("bic", _SCTLR_EE)


def _beyond(to: Writing) -> None:
    """An access or a jump to where nothing is, or across the end of the memory."""
    random = to.random
    ram = to.around.ram
    end = ram.base + ram.size
    to.constant(ADDRESS, random.choice((end - 4, end - 1, end, 0x10_0000_0000, 0)))
    if random.random() < 0.2:
        to.emit(w.br(ADDRESS, link=True))
    else:
        size = random.choice((w.WORD, w.DOUBLE))
        to.emit(w.access(size, random.randrange(2), to.value(), ADDRESS, 0))


BLOCKS: Final[Mapping[str, tuple[Block, int]]] = {
    "arithmetic": (_arithmetic, 10),
    "access": (_access, 16),
    "access-otherwise": (_access_otherwise, 6),
    "access-without-syndrome": (_access_without_syndrome, 4),
    "exclusives": (_exclusives, 2),
    "system-register": (systemblocks.system_register, 7),
    "identification": (systemblocks.identification, 2),
    "hypercall": (systemblocks.hypercall, 5),
    "exception": (systemblocks.exception, 7),
    "hint": (systemblocks.hint, 3),
    "wait": (systemblocks.wait, 1),
    "masks": (systemblocks.masks, 2),
    "stack": (_stack, 1),
    "branch": (_branch, 4),
    "loop": (_loop, 3),
    "call": (_call, 2),
    "el0": (_el0, 2),
    "modify-code": (systemblocks.modify_code, 1),
    "big-endian": (_big_endian, 1),
    "beyond": (_beyond, 2),
    "floating": (systemblocks.floating, 1),
    "gic": (gicblocks.gic, 3),
    "enable-interrupts": (gicblocks.enable_interrupts, 1),
}
"""Every kind of block with its weight."""

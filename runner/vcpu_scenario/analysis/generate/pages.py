"""Stage 1 by pages: tables of three levels, and pages with permissions and attributes of any kind.

Tables and pages lie at the end of the RAM, from above: the first table, a page for a stack, the
second and the third table, and the pages that a program plays with. All else of the RAM is as
EL1 needs it, so that a program continues whatever its pages are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Final

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.surroundings import NOWHERE, PAGE, UART, Surroundings
from vcpu_scenario.analysis.generate.writing import ADDRESS, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Load, Memslot

PAGES: Final = 6
_FIRST, _SECOND, _THIRD = 1, 3, 4
"""Tables, by how many pages below the end they start."""

_TABLE: Final = 3
_MEMORY: Final = 0x703
"""A page: access flag, inner shareable, writable at EL1 alone, attribute 0."""
_DEVICES: Final = 0x405
_BLOCK: Final = 0x701
_MAIR: Final = 0xFF_BB_08_0C_00_44_04_FF
_TCR: Final = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32
"""39 bits of address, 40 of output address."""
_TBI0: Final = 1 << 37
_BEYOND: Final = 1 << 41
"""An output address that TCR_EL1.IPS does not have."""
_LIMITS: Final = (1 << 60, 1 << 61, 3 << 60)
"""UXNTable, APTable: what the tables below cannot allow any more."""
_DISCARD: Final = 0xD5087620  # DC IVAC
_TLBI: Final = (0xD508871F, 0xD508831F)
"""TLBI VMALLE1, VMALLE1IS."""
_AT: Final = 0xD5087800


def possible(ram: Memslot) -> bool:
    """Whether addresses of 39 bits reach ``ram``."""
    return ram.base >> 39 == 0


def page(ram: Memslot, number: int) -> int:
    """Where the page ``number`` is."""
    return ram.base + ram.size - (_THIRD + number + 1) * PAGE


def _table(ram: Memslot, which: int) -> int:
    return ram.base + ram.size - which * PAGE


def loads(random: Random, around: Surroundings) -> Iterator[Load]:
    """The tables, and what the pages hold: a return, should one jump there."""
    ram = around.ram
    limit = random.choice((0, 0, 0, 0, *_LIMITS))
    first = [0] * 512
    first[0] = _DEVICES
    first[ram.base >> 30] = _table(ram, _SECOND) | _TABLE | limit
    second = [0] * 512
    second[0] = _table(ram, _THIRD) | _TABLE
    second[3] = ram.base | _BLOCK | random.getrandbits(2) << 53 | random.getrandbits(2) << 6
    third = [0] * 512
    for at in range(ram.size // PAGE):
        third[at] = ram.base + at * PAGE | _MEMORY
    for number in range(PAGES):
        third[_entry(ram, number)] = descriptor(random, around, number)
    for which, entries in ((_FIRST, first), (_SECOND, second), (_THIRD, third)):
        yield Load(_table(ram, which), struct.pack("<512Q", *entries))
    for number in range(PAGES):
        yield Load(page(ram, number), struct.pack("<I", w.RET) + random.randbytes(0x3C))


def _entry(ram: Memslot, number: int) -> int:
    return (page(ram, number) - ram.base) // PAGE


def descriptor(random: Random, around: Surroundings, number: int) -> int:
    """One that maps the page ``number`` somewhere, as anything."""
    if random.random() < 0.05:
        return random.choice((0, 1 | page(around.ram, number)))
    output = random.choices(
        (
            page(around.ram, number),
            page(around.ram, random.randrange(PAGES)),
            around.elsewhere,
            UART,
            NOWHERE,
            _BEYOND,
        ),
        (12, 3, 2, 1, 1, 1),
    )[0]
    attribute = random.choice((0, 0, 0, random.randrange(8)))
    found = 3 | attribute << 2 | random.getrandbits(1) << 5 | random.getrandbits(2) << 6
    found |= random.randrange(4) << 8 | (random.random() < 0.85) << 10 | random.getrandbits(1) << 11
    software = random.getrandbits(4) << 55
    return output | found | random.choice((0, 0, 1, 2, 3)) << 53 | software


def on(to: Writing) -> None:
    """Stage 1 by :func:`loads`."""
    ram = to.around.ram
    # A table that the guest never touched is one over which some kernels loop for ever (README).
    for which in (_THIRD, _SECOND, _FIRST):
        to.constant(9, _table(ram, which))
        to.emit(w.access(w.DOUBLE, w.LOAD, 4, 9, 0))
    to.emit(w.msr(9, sysregs.TTBR0_EL1))
    to.constant(9, _MAIR)
    to.emit(w.msr(9, sysregs.MAIR_EL1))
    to.constant(9, _TCR | to.random.choice((0, _TBI0)))
    to.emit(w.msr(9, sysregs.TCR_EL1), w.ISB)
    to.emit(w.mrs(9, sysregs.SCTLR_EL1), w.or_bit(9, 9, 0), w.msr(9, sysregs.SCTLR_EL1), w.ISB)


# -- blocks --------------------------------------------------------------------------------------


def address(to: Writing) -> None:
    """To ADDRESS one in a page, now and then with a tag, or in the block beside them."""
    random, ram = to.random, to.around.ram
    at = page(ram, random.randrange(PAGES)) + random.choice((0, 8, 0x10, 0x3C, 0x3D, 0xFF8, 0xFFC))
    if random.random() < 0.1:
        at = ram.base + (3 << 21) + at % PAGE
    if random.random() < 0.1:
        at |= random.getrandbits(8) << 56
    to.constant(ADDRESS, at)


def touch(to: Writing) -> None:
    """One access to a page: of any kind, at the level that the guest is at."""
    random = to.random
    address(to)
    size, load, rt = random.randrange(4), random.randrange(2), to.value()
    to.emit(
        random.choice(
            (
                w.access(size, load, rt, ADDRESS, 0),
                w.access(size, load, rt, ADDRESS, 0),
                w.access_indexed(size, load, w.UNPRIVILEGED, rt, ADDRESS, 0),
                w.access_indexed(size, load, w.POST, rt, ADDRESS, 8),
                w.pair(load, w.OFFSET, rt, (rt + 1) % 5, ADDRESS, 0),
                w.ordered(size, load, rt, ADDRESS),
                w.br(ADDRESS, link=True),
                w.system(random.choice((w.DC_CIVAC, w.DC_CVAU)), ADDRESS),
            )
        )
    )


def pages(to: Writing) -> None:
    """Accesses to pages at EL1, and what AT finds of them."""
    random = to.random
    for _ in range(random.randrange(1, 4)):
        if random.random() < 0.3:
            address(to)
            to.emit(w.system(_AT | random.randrange(4) << 5, ADDRESS), w.ISB)
            to.emit(w.mrs(to.value(), sysregs.PAR_EL1))
        elif random.random() < 0.1:
            address(to)
            to.emit(w.system(_DISCARD, ADDRESS))
        else:
            touch(to)


def remap(to: Writing) -> None:
    """Another descriptor for a page, and an access to it."""
    random, ram = to.random, to.around.ram
    number = random.randrange(PAGES)
    to.constant(ADDRESS, _table(ram, _THIRD) + 8 * _entry(ram, number))
    to.constant(4, descriptor(random, to.around, number))
    to.emit(w.access(w.DOUBLE, w.STORE, 4, ADDRESS, 0), w.DSB, random.choice(_TLBI), w.DSB, w.ISB)
    to.constant(ADDRESS, page(ram, number))
    to.emit(w.access(w.WORD, random.randrange(2), to.value(), ADDRESS, 0))

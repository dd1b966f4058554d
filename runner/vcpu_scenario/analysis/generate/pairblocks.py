"""Blocks of programs for two vCPUs: SGIs, the distributor's registers, the CPU interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.pairwords import (
    BPR,
    ENABLES,
    EOIR,
    IAR,
    READ,
    VALUE,
    deactivate,
    enable,
    is_v2,
    private,
    read_interface,
    store,
    tell,
    write_interface,
)
from vcpu_scenario.analysis.generate.surroundings import DISTRIBUTOR
from vcpu_scenario.analysis.generate.writing import DEVICE, Block, Writing
from vcpu_scenario.arm64 import sysregs

_BITMAPS: Final = (0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380)
"""From GICD_IGROUPR to GICD_ICACTIVER: a bit for each interrupt."""
_TIMERS: Final = 1 << 27 | 1 << 30
"""Whose interrupts are their own to raise."""
_INTIDS: Final = (0, 1, 2, 5, 15, 16, 20, 31, 32, 33, 34, 40, 1023)


def _sgi(to: Writing) -> None:
    """To either vCPU, both or none, by number or as all but oneself."""
    random, intid = to.random, to.random.choice((0, 1, 2, 5, 15))
    targets = random.choice((0, 1, 2, 2, 3, 3, 4))
    others = random.random() < 0.3
    if is_v2(to):
        filter_ = random.choice((1, 2)) if others else 0
        secure = random.randrange(2) << 15
        store(to, DISTRIBUTOR + 0xF00, filter_ << 24 | targets << 16 | secure | intid)
        return
    to.constant(VALUE, others << 40 | intid << 24 | targets)
    registers = (sysregs.ICC_SGI1R_EL1,) * 4 + (sysregs.ICC_SGI0R_EL1, sysregs.ICC_ASGI1R_EL1)
    to.emit(w.msr(VALUE, random.choice(registers)), w.ISB)


def _sources(to: Writing) -> None:
    """A GICv2's SGIs made pending from any source, or taken back."""
    offset = to.random.choice((0xF10, 0xF10, 0xF20)) + to.random.randrange(4) * 4
    store(to, DISTRIBUTOR + offset, to.random.getrandbits(32) & 0x0303_0303)


def _bitmap(to: Writing) -> None:
    random = to.random
    value = random.getrandbits(32)
    if random.random() < 0.6:
        value &= 0x8011_000F
    offset = random.choice(_BITMAPS)
    if random.random() < 0.5:
        store(to, DISTRIBUTOR + offset + 4, value)
    else:
        store(to, private(to, random.randrange(2)) + offset, value & ~_TIMERS)


def _priority(to: Writing) -> None:
    random, intid = to.random, to.random.choice(_INTIDS[:-1])
    base = DISTRIBUTOR if intid >= 32 else private(to, random.randrange(2))
    value = random.choice((0, 8, 0x40, 0x80, 0xA0, 0xF0, 0xF8))
    store(to, base + 0x400 + intid, value, w.BYTE)


def _target(to: Writing) -> None:
    intid = to.random.randrange(32, 36)
    if is_v2(to):
        store(to, DISTRIBUTOR + 0x800 + intid, to.random.randrange(4), w.BYTE)
    else:
        affinity = to.random.choice((0, 1, 1, 2, 0x100, 1 << 31))
        store(to, DISTRIBUTOR + 0x6000 + 8 * intid, affinity, w.DOUBLE)


def _configuration(to: Writing) -> None:
    """Edges or levels; the distributor on or off."""
    if to.random.random() < 0.7:
        store(to, DISTRIBUTOR + 0xC08, to.random.getrandbits(32))
    else:
        store(to, DISTRIBUTOR, to.random.choice((0, 1, 2, 3, 3)))


def _interface(to: Writing) -> None:
    random = to.random
    kind = random.random()
    if kind < 0.4:
        mask = random.choice((0xF0, 0xF0, 0xF8, 0xA0, 0x80, 0x40, 0))
        enable(to, mask, random.choice(ENABLES))
    elif kind < 0.7:
        to.constant(VALUE, random.randrange(8))
        write_interface(to, VALUE, random.choice(BPR))
    elif not is_v2(to):
        to.constant(VALUE, random.randrange(4))
        write_interface(to, VALUE, (sysregs.ICC_CTLR_EL1, 0))


def _show(to: Writing) -> None:
    read_interface(to, 0, to.random.choice(READ))
    to.emit(w.access(w.WORD, w.STORE, 0, DEVICE, 0))


def _finish(to: Writing) -> None:
    """The end of an interrupt that was taken, or of any; its deactivation; or both."""
    random = to.random
    if random.random() < 0.4:
        read_interface(to, VALUE, random.choice(IAR))
    else:
        to.constant(VALUE, random.choice(_INTIDS))
    if random.random() < 0.7:
        write_interface(to, VALUE, random.choice(EOIR))
    if random.random() < 0.5:
        deactivate(to, VALUE)


def _mask(to: Writing) -> None:
    to.emit(to.random.choice((w.daifclr(3), w.daifclr(2), w.daifset(3))))


def _look(to: Writing) -> None:
    base = to.random.choice((DISTRIBUTOR + 4, private(to, 0), private(to, 1)))
    tell(to, base + to.random.choice((*_BITMAPS, 0x400, 0xC04)))


def weighted(gic: c.Gic) -> tuple[list[Block], list[int]]:
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

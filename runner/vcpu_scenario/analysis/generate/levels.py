"""Blocks about interrupts that are taken with the GIC alone: many at once, nested, by level."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.analysis.generate import gicblocks
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.writing import ADDRESS, DISTRIBUTOR_BASE, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Gic

_ISPENDR, _ISACTIVER = 0x204, 0x304
_IPRIORITYR, _ICFGR = 0x420, 0xC08
_READ_BACK: Final = (_ISPENDR, _ISACTIVER)

_IAR, _EOIR, _RPR_V2, _HPPIR = 3, 4, 5, 6
"""Registers of a GICv2's CPU interface, in words."""


def levels(to: Writing) -> None:
    """SPIs made pending, by level or edge and with priorities, acknowledged one after the other."""
    gic = to.around.gic
    if gic is None:
        gicblocks.gic(to)
        return
    to.emit(w.daifset(2))
    gicblocks.enable_interrupts(to)
    to.emit(w.daifset(2))
    _prepare(to)
    for _ in range(to.random.randrange(1, 8)):
        _taken(to, gic)
    to.emit(
        w.access(w.WORD, w.LOAD, to.value(), DISTRIBUTOR_BASE, to.random.choice(_READ_BACK) // 4)
    )


def _prepare(to: Writing) -> None:
    """Configurations and priorities of SPIs 32 to 39, and which of them are pending."""
    random = to.random
    for offset, value in (
        (_ICFGR, random.choice((0, 0xAAAA, random.getrandbits(32)))),
        (_IPRIORITYR, random.getrandbits(32) & 0xF8F8F8F8),
        (_IPRIORITYR + 4, random.getrandbits(32) & 0xF8F8F8F8),
        (_ISPENDR, random.choice((0x1, 0x6, 0xFF, random.getrandbits(8)))),
    ):
        if random.random() < 0.8:
            to.constant(4, value)
            to.emit(w.access(w.WORD, w.STORE, 4, DISTRIBUTOR_BASE, offset // 4))


def _taken(to: Writing, gic: Gic) -> None:
    """One is acknowledged, and mostly ended."""
    random = to.random
    ended = random.random() < 0.75
    looked_at = random.random() < 0.4
    if gic.version == 3:
        if looked_at:
            to.emit(w.mrs(to.value(), random.choice((sysregs.ICC_RPR_EL1, sysregs.ICC_HPPIR1_EL1))))
        to.emit(w.mrs(4, sysregs.ICC_IAR1_EL1))
        if ended:
            to.emit(w.msr(4, sysregs.ICC_EOIR1_EL1))
        return
    to.constant(ADDRESS, gic.cpu)
    if looked_at:
        register = random.choice((_RPR_V2, _HPPIR))
        to.emit(w.access(w.WORD, w.LOAD, to.value(), ADDRESS, register))
    to.emit(w.access(w.WORD, w.LOAD, 4, ADDRESS, _IAR))
    if ended:
        to.emit(w.access(w.WORD, w.STORE, 4, ADDRESS, _EOIR))

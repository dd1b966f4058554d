"""Blocks about the interrupt controller: its CPU interface, an SGI, masks and priorities."""

from __future__ import annotations

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.surroundings import NOWHERE
from vcpu_scenario.analysis.generate.writing import ADDRESS, DISTRIBUTOR_BASE, Writing
from vcpu_scenario.arm64 import sysregs


def _gic_v3(to: Writing) -> None:
    """The CPU interface, an SGI, masks and priorities."""
    random = to.random
    to.constant(ADDRESS, random.choice((0, 1, 0xF0, 0xFF, 1 << 24, 1 << 24 | 1)))
    to.emit(
        *random.choice(
            (
                (w.msr(ADDRESS, sysregs.ICC_PMR_EL1),),
                (w.msr(ADDRESS, sysregs.ICC_IGRPEN1_EL1),),
                (w.msr(ADDRESS, sysregs.ICC_BPR1_EL1),),
                (w.msr(ADDRESS, sysregs.ICC_SGI1R_EL1),),
                (w.mrs(to.value(), sysregs.ICC_IAR1_EL1),),
                (w.mrs(to.value(), sysregs.ICC_HPPIR1_EL1),),
                (w.mrs(to.value(), sysregs.ICC_SRE_EL1),),
                (w.mrs(to.value(), sysregs.ICC_CTLR_EL1),),
                (w.mrs(4, sysregs.ICC_IAR1_EL1), w.msr(4, sysregs.ICC_EOIR1_EL1)),
            )
        )
    )


def enable_interrupts(to: Writing) -> None:
    """As much of an interrupt controller's set-up as lets an SPI or SGI through."""
    store, size = w.STORE, w.WORD
    to.constant(4, 3)
    to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0))
    to.constant(4, 0xFFFF_FFFF)
    to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0x104 // 4))
    gic = to.around.gic
    if gic is not None and gic.version == 3:
        to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0x84 // 4))  # GICD_IGROUPR1
        to.constant(4, 0xF0)
        to.emit(w.msr(4, sysregs.ICC_PMR_EL1))
        to.constant(4, 1)
        to.emit(w.msr(4, sysregs.ICC_IGRPEN1_EL1), w.ISB)
    elif gic is not None:
        to.constant(ADDRESS, gic.cpu)
        to.constant(4, 0xF0)
        to.emit(w.access(size, store, 4, ADDRESS, 1))
        to.constant(4, 1)
        to.emit(w.access(size, store, 4, ADDRESS, 0))
        to.constant(4, 0x0101_0101)
        to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0x820 // 4))  # GICD_ITARGETSR8
    to.emit(w.daifclr(2))


def _gic_v2(to: Writing) -> None:
    """The memory-mapped CPU interface."""
    random = to.random
    gic = to.around.gic
    to.constant(ADDRESS, NOWHERE if gic is None else gic.cpu)
    size = random.choices((w.WORD, w.BYTE, w.DOUBLE), (8, 1, 1))[0]
    to.emit(w.access(size, random.randrange(2), to.value(), ADDRESS, random.randrange(8)))


def gic(to: Writing) -> None:
    gic = to.around.gic
    version = to.random.choice((2, 3)) if gic is None else gic.version
    (_gic_v3 if version == 3 else _gic_v2)(to)

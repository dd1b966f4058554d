"""What programs do at EL0, and what EL1 allows them there."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.analysis.generate import pages, systemblocks
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.writing import ADDRESS, DATA, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding

_AT_EL0: Final[tuple[Encoding, ...]] = (
    sysregs.CTR_EL0,
    sysregs.DCZID_EL0,
    sysregs.NZCV,
    sysregs.DAIF,
    sysregs.FPCR,
    sysregs.FPSR,
    sysregs.TPIDR_EL0,
    sysregs.TPIDRRO_EL0,
    sysregs.CNTFRQ_EL0,
    sysregs.MDCCSR_EL0,
    sysregs.PMUSERENR_EL0,
    sysregs.PMCR_EL0,
    sysregs.CNTV_CTL_EL0,
    sysregs.TPIDR_EL1,
    sysregs.VBAR_EL1,
    sysregs.MIDR_EL1,
    sysregs.ID_AA64PFR0_EL1,
    sysregs.CURRENTEL,
    sysregs.MDSCR_EL1,
    sysregs.HCR_EL2,
)
_ALLOWING: Final = (3, 4, 9, 14, 15, 16, 18, 24, 26)
"""Bits of SCTLR_EL1 about EL0, and about stacks: SA, SA0, UMA, DZE, UCT, nTWI, nTWE, E0E, UCI."""
_OPERATIONS: Final = (
    w.DC_CIVAC,
    w.DC_CVAU,
    0xD50B7A20,  # DC CVAC
    0xD50B7520,  # IC IVAU
    0xD5087620,  # DC IVAC
    0xD5087800,  # AT S1E1R
    0xD5087840,  # AT S1E0R
    0xD5088720,  # TLBI VAE1
)


def allow(to: Writing) -> None:
    """What EL0 may do, and whether stack pointers are checked, turned over."""
    random = to.random
    bits = random.sample(_ALLOWING, random.randrange(1, 4))
    to.change_sctlr("eor", sum(1 << bit for bit in bits))


def stack_askew(to: Writing) -> None:
    """An access by a stack pointer that may be misaligned, of either stack."""
    random = to.random
    to.emit(w.spsel(0), w.add_immediate(31, DATA, random.choice((0, 4, 8, 16, 17))))
    to.emit(w.access(random.randrange(4), random.randrange(2), to.value(), 31, 0), w.spsel(1))


def at_el0(to: Writing) -> None:
    """To EL0, where system registers, pages and operations on caches are tried, and back."""
    to.visit_el0((_register, _register, _operation, pages.touch, _stack, _sundry))


def _register(to: Writing) -> None:
    random = to.random
    encoding = random.choice(_AT_EL0)
    to.emit(w.mrs(to.value(), encoding) if random.random() < 0.7 else w.msr(to.value(), encoding))


def _operation(to: Writing) -> None:
    to.emit(w.add_immediate(ADDRESS, DATA, 0))
    to.emit(w.system(to.random.choice(_OPERATIONS), ADDRESS))


def _stack(to: Writing) -> None:
    random = to.random
    to.emit(w.add_immediate(31, DATA, random.choice((0, 8, 16, 17))))
    to.emit(w.access(random.randrange(4), random.randrange(2), to.value(), 31, 0))


def _sundry(to: Writing) -> None:
    random = to.random
    random.choice((systemblocks.exception, systemblocks.hint, systemblocks.masks))(to)

"""Blocks beyond those of :mod:`.blocks`: what random programs did not look at before.

They are kinds of their own, so that the seeds of before give the same programs for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.analysis.generate import pages, unprivileged
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.levels import levels
from vcpu_scenario.analysis.generate.writing import (
    ADDRESS,
    DATA,
    DEVICE,
    DISTRIBUTOR_BASE,
    ELSEWHERE,
    Block,
    Writing,
)
from vcpu_scenario.arm64 import sysregs

_AT_S1E1R: Final = 0xD5087800
_SCTLR_A: Final = 1 << 1
_BASES: Final = (DATA, DATA, DEVICE, ELSEWHERE, DISTRIBUTOR_BASE)


def _address(to: Writing) -> None:
    """One that is often not aligned, in ADDRESS."""
    random = to.random
    to.emit(w.add_immediate(ADDRESS, random.choice(_BASES), random.randrange(0x20)))


def _ordered_anywhere(to: Writing) -> None:
    """LDAR, STLR and exclusives where they may be misaligned."""
    random = to.random
    _address(to)
    size, load = random.randrange(4), random.randrange(2)
    to.emit(
        random.choice(
            (
                w.ordered(size, load, to.value(), ADDRESS),
                w.exclusive(size, load, to.value(), ADDRESS, status=31 if load else 9),
            )
        )
    )


def _checked_alignment(to: Writing) -> None:
    """Accesses while SCTLR_EL1.A has them checked."""
    random = to.random
    to.emit(
        w.mrs(ADDRESS, sysregs.SCTLR_EL1),
        w.or_bit(ADDRESS, ADDRESS, 1),
        w.msr(ADDRESS, sysregs.SCTLR_EL1),
        w.ISB,
    )
    for _ in range(random.randrange(1, 4)):
        _address(to)
        load, rt = random.randrange(2), to.value()
        to.emit(
            random.choice(
                (
                    w.access(random.randrange(4), load, rt, ADDRESS, 0),
                    w.pair(load, w.OFFSET, rt, (rt + 1) % 5, ADDRESS, random.randrange(3)),
                    w.access_indexed(random.randrange(4), load, w.POST, rt, ADDRESS, 8),
                    w.system(w.DC_CIVAC, ADDRESS),
                )
            )
        )
    to.change_sctlr("bic", _SCTLR_A)


def _translate(to: Writing) -> None:
    """AT of stage 1, and what it found."""
    random = to.random
    if random.random() < 0.7:
        _address(to)
    else:
        to.constant(ADDRESS, random.choice((0, 1 << 40, (1 << 64) - 8, random.getrandbits(48))))
    to.emit(w.system(_AT_S1E1R | random.randrange(4) << 5, ADDRESS), w.ISB)
    to.emit(w.mrs(to.value(), sysregs.PAR_EL1))


_MAINTENANCE: Final = (
    0xD5087620,  # DC IVAC
    0xD50B7A20,  # DC CVAC
    0xD50B7520,  # IC IVAU
    w.DC_CVAU,
    w.DC_CIVAC,
    0xD5088720,  # TLBI VAE1
    0xD5088740,  # TLBI ASIDE1
    0xD5088760,  # TLBI VAAE1
    0xD50887A0,  # TLBI VALE1
    0xD50887E0,  # TLBI VAALE1
    0xD5088320,  # TLBI VAE1IS
    0xD5088300,  # TLBI VMALLE1IS
)


def _maintain(to: Writing) -> None:
    """Caches and translations, by address."""
    _address(to)
    to.emit(w.system(to.random.choice(_MAINTENANCE), ADDRESS), w.DSB, w.ISB)


def _debug_itself(to: Writing) -> None:
    """The guest's own watchpoint, on or masked, and an access that may hit."""
    random = to.random
    to.emit(w.msr(31, sysregs.OSLAR_EL1))
    slot = random.randrange(4)
    to.emit(w.add_immediate(ADDRESS, DATA, 8 * random.randrange(4)))
    to.emit(w.msr(ADDRESS, (2, 0, 0, slot, 6)))
    select = random.choice((0xFF, 0x0F, 0xF0, 1))
    to.constant(ADDRESS, select << 5 | random.randrange(4) << 3 | random.randrange(4) << 1 | 1)
    to.emit(w.msr(ADDRESS, (2, 0, 0, slot, 7)))
    to.constant(ADDRESS, random.choice((0xA000, 0xA000, 0x8000, 0x2000)))
    to.emit(w.msr(ADDRESS, sysregs.MDSCR_EL1), w.ISB, random.choice((w.daifset(8), w.daifclr(8))))
    to.emit(w.access(random.randrange(4), random.randrange(2), to.value(), DATA, 0))
    to.emit(w.msr(31, sysregs.MDSCR_EL1), w.msr(31, (2, 0, 0, slot, 7)), w.ISB)


_INTERFACE: Final = (
    sysregs.ICC_PMR_EL1,
    sysregs.ICC_BPR0_EL1,
    sysregs.ICC_BPR1_EL1,
    sysregs.ICC_CTLR_EL1,
    sysregs.ICC_AP1R0_EL1,
    sysregs.ICC_RPR_EL1,
    sysregs.ICC_HPPIR1_EL1,
)


def _priorities(to: Writing) -> None:
    """Priorities, configurations and binary points, written and read back."""
    random = to.random
    if random.random() < 0.5:
        encoding = random.choice(_INTERFACE)
        to.constant(4, random.getrandbits(8))
        to.emit(w.msr(4, encoding), w.mrs(to.value(), encoding))
        return
    offset = random.choice((0x400, 0x420, 0x440, 0xC00, 0xC08, 0x80, 0x84, 0x200, 0x204, 0x304))
    to.constant(4, random.getrandbits(32))
    to.emit(w.access(w.WORD, w.STORE, 4, DISTRIBUTOR_BASE, offset // 4))
    to.emit(w.access(w.WORD, w.LOAD, to.value(), DISTRIBUTOR_BASE, offset // 4))


def _any_identity(to: Writing) -> None:
    """MRS of the whole space of ID registers."""
    random = to.random
    to.emit(w.mrs(to.value(), (3, 0, 0, random.randrange(1, 8), random.randrange(8))))


WIDER: Final[Mapping[str, tuple[Block, int]]] = {
    "ordered-anywhere": (_ordered_anywhere, 4),
    "checked-alignment": (_checked_alignment, 3),
    "translate": (_translate, 4),
    "maintain": (_maintain, 4),
    "debug-itself": (_debug_itself, 3),
    "priorities": (_priorities, 4),
    "any-identity": (_any_identity, 2),
    "pages": (pages.pages, 8),
    "remap": (pages.remap, 3),
    "levels": (levels, 5),
    "at-el0": (unprivileged.at_el0, 4),
    "allow": (unprivileged.allow, 2),
    "stack-askew": (unprivileged.stack_askew, 2),
}
"""Every kind with its weight."""

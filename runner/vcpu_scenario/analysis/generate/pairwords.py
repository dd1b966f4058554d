"""What programs for two vCPUs are made of: stores, what is told, the CPU interface of either GIC.

Registers: x10 points to the device that is told, x11 to the distributor, x12 to the GICv2's CPU
interface; x4 and x14 are of the moment, and the vectors use x5 and x6.
"""

from __future__ import annotations

from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.surroundings import CPU_INTERFACE, DISTRIBUTOR, REDISTRIBUTOR
from vcpu_scenario.analysis.generate.writing import ADDRESS, DEVICE, Writing
from vcpu_scenario.arm64 import sysregs

GICS: Final = (
    c.Gic(2, DISTRIBUTOR, cpu=CPU_INTERFACE),
    c.Gic(3, DISTRIBUTOR, redist=REDISTRIBUTOR),
)
CPU_BASE, VALUE, INTID = 12, 4, 5
_SGI_FRAME, _REDISTRIBUTOR_SIZE = 0x1_0000, 0x2_0000
ENABLES: Final = ((0, 1), (1, 1), (1, 1), (0, 0))
"""Of groups 0 and 1: never group 0 alone, for which QEMU's GICv3 never ends a maintenance interrupt
that kernels since 6.19 ask for."""


def store(to: Writing, address: int, value: int, size: int = w.WORD) -> None:
    to.constant(ADDRESS, address)
    to.constant(VALUE, value)
    to.emit(w.access(size, w.STORE, VALUE, ADDRESS, 0))


def tell(to: Writing, address: int, size: int = w.WORD) -> None:
    to.constant(ADDRESS, address)
    to.emit(w.access(size, w.LOAD, 0, ADDRESS, 0), w.access(w.WORD, w.STORE, 0, DEVICE, 0))


def private(to: Writing, number: int) -> int:
    """Where the registers of a vCPU's own interrupts are, by their offsets in a distributor."""
    if to.around.gic == GICS[0]:
        return DISTRIBUTOR
    return REDISTRIBUTOR + number * _REDISTRIBUTOR_SIZE + _SGI_FRAME


# -- the CPU interface, by registers of a GICv3 and their offsets in a GICv2's --------------------

Register = tuple[sysregs.Encoding, int]
PMR: Final[Register] = sysregs.ICC_PMR_EL1, 0x4
BPR: Final = ((sysregs.ICC_BPR0_EL1, 0x8), (sysregs.ICC_BPR1_EL1, 0x1C))
IAR: Final = ((sysregs.ICC_IAR0_EL1, 0xC), (sysregs.ICC_IAR1_EL1, 0xC))
EOIR: Final = ((sysregs.ICC_EOIR0_EL1, 0x10), (sysregs.ICC_EOIR1_EL1, 0x10))
READ: Final = (
    *IAR,
    *BPR,
    PMR,
    (sysregs.ICC_HPPIR0_EL1, 0x18),
    (sysregs.ICC_HPPIR1_EL1, 0x18),
    (sysregs.ICC_RPR_EL1, 0x14),
    (sysregs.ICC_AP1R0_EL1, 0xD0),
    (sysregs.ICC_CTLR_EL1, 0),
)
DIR: Final = 0x1000


def is_v2(to: Writing) -> bool:
    return to.around.gic == GICS[0]


def read_interface(to: Writing, register: int, what: Register) -> None:
    if is_v2(to):
        to.emit(w.access(w.WORD, w.LOAD, register, CPU_BASE, what[1] // 4))
    else:
        to.emit(w.mrs(register, what[0]))


def write_interface(to: Writing, register: int, what: Register) -> None:
    if is_v2(to):
        to.emit(w.access(w.WORD, w.STORE, register, CPU_BASE, what[1] // 4))
    else:
        to.emit(w.msr(register, what[0]), w.ISB)


def deactivate(to: Writing, register: int) -> None:
    if is_v2(to):
        to.constant(6, CPU_INTERFACE + DIR)
        to.emit(w.access(w.WORD, w.STORE, register, 6, 0))
    else:
        to.emit(w.msr(register, sysregs.ICC_DIR_EL1))


def enable(to: Writing, mask: int, groups: tuple[int, int]) -> None:
    to.constant(VALUE, mask)
    write_interface(to, VALUE, PMR)
    if is_v2(to):
        to.constant(VALUE, groups[0] | groups[1] << 1 | to.random.choice((0, 4, 0x200)))
        to.emit(w.access(w.WORD, w.STORE, VALUE, CPU_BASE, 0))
        return
    # Group 0 goes off first and comes on last.
    for group, value in ((0, 0), (1, groups[1]), (0, groups[0])):
        to.constant(VALUE, value)
        to.emit(w.msr(VALUE, (sysregs.ICC_IGRPEN0_EL1, sysregs.ICC_IGRPEN1_EL1)[group]), w.ISB)

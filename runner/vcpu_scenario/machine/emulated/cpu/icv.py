"""The ``ICC_*_EL1`` system registers of a guest, on the virtual CPU interface (``ICV_*``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, Literal, TypeAlias

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu.cpuif import (
    FIRST_LPI,
    NR_SPECIAL_IDS,
    PRIORITY_MASK,
    SPURIOUS,
    CpuInterface,
)


class Undefined(Enum):
    UNDEF = "undefined instruction"


UNDEF: Final = Undefined.UNDEF
"""The access is an undefined instruction: it exists only in the other direction, or not."""

Value: TypeAlias = int | Literal[Undefined.UNDEF]


_SRE_DIB_DFB = 7
_CTLR_FIXED = 0x8C00
"""A3V, 24-bit INTIDs, five priority bits: recorded (job icc-step)."""
_CTLR_CBPR = 1 << 0
_CTLR_EOIMODE = 1 << 1
_MAX_SPI = 1020


def acknowledge(cpuif: CpuInterface, group: int) -> int:
    lr = cpuif.highest_pending()
    if lr is None or lr.group != group or not cpuif.can_preempt(lr):
        return SPURIOUS
    cpuif.activate(lr)
    return lr.intid


def highest_pending(cpuif: CpuInterface, group: int) -> int:
    lr = cpuif.highest_pending()
    return lr.intid if lr is not None and lr.group == group else SPURIOUS


def end_of_interrupt(cpuif: CpuInterface, group: int, value: int) -> None:
    """Drops the priority first and checks the interrupt after: what may be chosen."""
    intid = value & 0xFFFFFF
    if intid in NR_SPECIAL_IDS:
        return
    dropped = cpuif.drop_priority()
    if dropped is None:
        return
    lr = cpuif.find_active(intid)
    if lr is None:
        if intid < FIRST_LPI:
            cpuif.eoi_count = cpuif.eoi_count + 1 & 0x1F
    elif (
        lr.group == group
        and lr.priority & cpuif.group_priority_mask(group) == dropped
        and (intid >= FIRST_LPI or not cpuif.eoi_mode)
    ):
        lr.active = False


def deactivate(cpuif: CpuInterface, value: int) -> None:
    intid = value & 0xFFFFFF
    if intid >= _MAX_SPI or not cpuif.eoi_mode:
        return
    lr = cpuif.find_active(intid)
    if lr is None:
        cpuif.eoi_count = cpuif.eoi_count + 1 & 0x1F
    else:
        lr.active = False


def _read_ctlr(cpuif: CpuInterface) -> int:
    return _CTLR_FIXED | cpuif.eoi_mode * _CTLR_EOIMODE | cpuif.cbpr * _CTLR_CBPR


def _write_ctlr(cpuif: CpuInterface, value: int) -> None:
    cpuif.cbpr = bool(value & _CTLR_CBPR)
    cpuif.eoi_mode = bool(value & _CTLR_EOIMODE)


def _set_binary_point(group: int) -> Callable[[CpuInterface, int], None]:
    def write(cpuif: CpuInterface, value: int) -> None:
        """QEMU's CPU takes it for a signed number of 32 bits."""
        cpuif.set_binary_point(group, (value & 0xFFFF_FFFF ^ 1 << 31) - (1 << 31))

    return write


def _write_pmr(cpuif: CpuInterface, value: int) -> None:
    cpuif.pmr = value & PRIORITY_MASK


def _ignore(cpuif: CpuInterface, value: int) -> None:
    pass


def _enable(group: int) -> Callable[[CpuInterface, int], None]:
    def write(cpuif: CpuInterface, value: int) -> None:
        cpuif.enabled[group] = bool(value & 1)

    return write


def _set_active_priorities(group: int) -> Callable[[CpuInterface, int], None]:
    def write(cpuif: CpuInterface, value: int) -> None:
        cpuif.active_priorities[group] = value & 0xFFFF_FFFF

    return write


READS: Final[dict[Encoding, Callable[[CpuInterface], int]]] = {
    sysregs.ICC_PMR_EL1: lambda cpuif: cpuif.pmr,
    sysregs.ICC_IAR0_EL1: lambda cpuif: acknowledge(cpuif, 0),
    sysregs.ICC_IAR1_EL1: lambda cpuif: acknowledge(cpuif, 1),
    sysregs.ICC_HPPIR0_EL1: lambda cpuif: highest_pending(cpuif, 0),
    sysregs.ICC_HPPIR1_EL1: lambda cpuif: highest_pending(cpuif, 1),
    sysregs.ICC_BPR0_EL1: lambda cpuif: cpuif.binary_point(0),
    sysregs.ICC_BPR1_EL1: lambda cpuif: cpuif.binary_point(1),
    sysregs.ICC_AP0R0_EL1: lambda cpuif: cpuif.active_priorities[0],
    sysregs.ICC_AP1R0_EL1: lambda cpuif: cpuif.active_priorities[1],
    sysregs.ICC_RPR_EL1: CpuInterface.running_priority,
    sysregs.ICC_CTLR_EL1: _read_ctlr,
    sysregs.ICC_SRE_EL1: lambda cpuif: _SRE_DIB_DFB,
    sysregs.ICC_IGRPEN0_EL1: lambda cpuif: int(cpuif.enabled[0]),
    sysregs.ICC_IGRPEN1_EL1: lambda cpuif: int(cpuif.enabled[1]),
}

WRITES: Final[dict[Encoding, Callable[[CpuInterface, int], None]]] = {
    sysregs.ICC_PMR_EL1: _write_pmr,
    sysregs.ICC_EOIR0_EL1: lambda cpuif, value: end_of_interrupt(cpuif, 0, value),
    sysregs.ICC_EOIR1_EL1: lambda cpuif, value: end_of_interrupt(cpuif, 1, value),
    sysregs.ICC_BPR0_EL1: _set_binary_point(0),
    sysregs.ICC_BPR1_EL1: _set_binary_point(1),
    sysregs.ICC_AP0R0_EL1: _set_active_priorities(0),
    sysregs.ICC_AP1R0_EL1: _set_active_priorities(1),
    sysregs.ICC_DIR_EL1: deactivate,
    sysregs.ICC_CTLR_EL1: _write_ctlr,
    sysregs.ICC_SRE_EL1: _ignore,
    sysregs.ICC_IGRPEN0_EL1: _enable(0),
    sysregs.ICC_IGRPEN1_EL1: _enable(1),
}

SGI_REGISTERS: Final = frozenset(
    {sysregs.ICC_SGI1R_EL1, sysregs.ICC_ASGI1R_EL1, sysregs.ICC_SGI0R_EL1}
)
"""Write-only; writes trap to EL2 whenever it takes physical interrupts."""


TRAPPED: Final[Mapping[bool, frozenset[Encoding]]] = {
    is_read: frozenset(registers) - {sysregs.ICC_SRE_EL1}
    for is_read, registers in ((True, READS), (False, WRITES))
}
"""What is read, and what is written, that traps where ICH_HCR_EL2.{TC,TALL0,TALL1} are all set."""


def read(cpuif: CpuInterface, encoding: Encoding) -> Value:
    """MRS at EL1. Also what a VM without a vGIC gets where KVM does not hide the registers."""
    handler = READS.get(encoding)
    return UNDEF if handler is None else handler(cpuif)


def write(cpuif: CpuInterface, encoding: Encoding, value: int) -> bool:
    """MSR at EL1 of a register that does not trap; False if it is undefined."""
    handler = WRITES.get(encoding)
    if handler is None:
        return False
    handler(cpuif, value)
    return True

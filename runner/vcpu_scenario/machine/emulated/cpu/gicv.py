"""The GICv2 virtual CPU interface (``GICV``, 8 KiB), which the guest accesses as memory.

As the recorded host has it, which is milder than the architecture: a byte or halfword access at
a register's offset reaches the register, one anywhere else in it reads as zero and is ignored, a
doubleword is two words, lower one first. ``AIAR``, ``AEOIR`` and ``AHPPIR`` are not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vcpu_scenario.machine.emulated.cpu.cpuif import (
    IDLE_PRIORITY,
    NR_SGIS,
    NR_SPECIAL_IDS,
    PRIORITY_MASK,
    SPURIOUS,
    CpuInterface,
    ListRegister,
)

SIZE: Final = 0x2000
PAGE: Final = 0x1000
DIR: Final = 0x1000

_SPURIOUS_GROUP1 = 1022
_IIDR = 0x2043B
_IDLE = 0x100
_CTLR_GROUP0, _CTLR_GROUP1, _CTLR_ACK, _CTLR_FIQ, _CTLR_CBPR, _CTLR_EOIMODE = (
    1 << bit for bit in (0, 1, 2, 3, 4, 9)
)


def _running(cpuif: CpuInterface) -> int:
    running = cpuif.running_priority()
    return _IDLE if running == IDLE_PRIORITY else running


def _unmasked(cpuif: CpuInterface) -> ListRegister | None:
    """What is pending above the priority mask. The group enables do not choose here: with one
    of them on, an interrupt of the other group may be found, and keeps others from being so."""
    if not any(cpuif.enabled):
        return None
    pending = [lr for lr in cpuif.lrs if lr.pending and not lr.active]
    best = min(pending, key=lambda lr: lr.priority, default=None)
    return best if best is not None and best.priority < cpuif.pmr else None


def signalled(cpuif: CpuInterface) -> ListRegister | None:
    lr = _unmasked(cpuif)
    if lr is None or lr.priority >= _running(cpuif) or not cpuif.enabled[lr.group]:
        return None
    return lr


def _visible(cpuif: CpuInterface) -> ListRegister | int:
    """The pending interrupt, or the special number that is read in its place."""
    lr = _unmasked(cpuif)
    if lr is None:
        return SPURIOUS
    return _SPURIOUS_GROUP1 if lr.group and not cpuif.ack_ctl else lr


def _acknowledge(cpuif: CpuInterface) -> int:
    lr = _visible(cpuif)
    if isinstance(lr, int):
        return lr
    if lr.priority >= _running(cpuif):
        return SPURIOUS
    cpuif.active_priorities[0] |= 1 << ((lr.priority & cpuif.group_priority_mask(lr.group)) >> 3)
    lr.pending = False
    lr.active = True
    return lr.intid | (lr.source << 10 if lr.intid < NR_SGIS else 0)


def _highest_pending(cpuif: CpuInterface) -> int:
    lr = _visible(cpuif)
    return lr if isinstance(lr, int) else lr.intid


def _end_of_interrupt(cpuif: CpuInterface, value: int) -> None:
    intid = value & 0x3FF
    if intid in NR_SPECIAL_IDS:
        return
    dropped = cpuif.drop_priority()
    if not cpuif.eoi_mode:
        lr = cpuif.find_active(intid)
        if lr is not None:
            lr.active = False
        elif dropped is not None:
            cpuif.eoi_count = cpuif.eoi_count + 1 & 0x1F


def _deactivate(cpuif: CpuInterface, value: int) -> None:
    intid = value & 0x3FF
    if intid in NR_SPECIAL_IDS or not cpuif.eoi_mode:
        return
    lr = cpuif.find_active(intid)
    if lr is not None:
        lr.active = False
    else:
        cpuif.eoi_count = cpuif.eoi_count + 1 & 0x1F


def _read_ctlr(cpuif: CpuInterface) -> int:
    return (
        cpuif.enabled[0] * _CTLR_GROUP0
        | cpuif.enabled[1] * _CTLR_GROUP1
        | cpuif.ack_ctl * _CTLR_ACK
        | cpuif.fiq_enable * _CTLR_FIQ
        | cpuif.cbpr * _CTLR_CBPR
        | cpuif.eoi_mode * _CTLR_EOIMODE
    )


def _write_ctlr(cpuif: CpuInterface, value: int) -> None:
    cpuif.enabled[:] = [bool(value & _CTLR_GROUP0), bool(value & _CTLR_GROUP1)]
    cpuif.ack_ctl = bool(value & _CTLR_ACK)
    cpuif.fiq_enable = bool(value & _CTLR_FIQ)
    cpuif.cbpr = bool(value & _CTLR_CBPR)
    cpuif.eoi_mode = bool(value & _CTLR_EOIMODE)


def _write_pmr(cpuif: CpuInterface, value: int) -> None:
    cpuif.pmr = value & PRIORITY_MASK


_LEAST_ABPR: Final = 1
"""Below what the priorities have bits for, and below its value at reset."""


def _write_abpr(cpuif: CpuInterface, value: int) -> None:
    cpuif.bpr1 = max(value & 7, _LEAST_ABPR)


def _write_apr(cpuif: CpuInterface, value: int) -> None:
    cpuif.active_priorities[0] = value


_READS: Final[dict[int, Callable[[CpuInterface], int]]] = {
    0x00: _read_ctlr,
    0x04: lambda cpuif: cpuif.pmr,
    0x08: lambda cpuif: cpuif.bpr0,
    0x0C: _acknowledge,
    0x14: CpuInterface.running_priority,
    0x18: _highest_pending,
    0x1C: lambda cpuif: cpuif.bpr1,
    0xD0: lambda cpuif: cpuif.active_priorities[0],
    0xFC: lambda cpuif: _IIDR,
}

_WRITES: Final[dict[int, Callable[[CpuInterface, int], None]]] = {
    0x00: _write_ctlr,
    0x04: _write_pmr,
    0x08: lambda cpuif, value: cpuif.set_binary_point(0, value & 7),
    0x10: _end_of_interrupt,
    0x1C: _write_abpr,
    0xD0: _write_apr,
    DIR: _deactivate,
}


def access(cpuif: CpuInterface, offset: int, length: int, is_write: bool, value: int) -> int:
    """An aligned access of ``length`` bytes; what it reads, 0 where it writes."""
    if length == 8:
        low = access(cpuif, offset, 4, is_write, value & 0xFFFF_FFFF)
        return low | access(cpuif, offset + 4, 4, is_write, value >> 32) << 32
    if is_write:
        write = _WRITES.get(offset)
        if write is not None:
            write(cpuif, value & (1 << length * 8) - 1)
        return 0
    read = _READS.get(offset)
    return read(cpuif) & (1 << length * 8) - 1 if read is not None else 0

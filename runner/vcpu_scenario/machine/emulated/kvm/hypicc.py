"""``ICC_*_EL1`` where they trap: what hyp does on the virtual CPU interface in the guest's place.

After ``hyp/vgic-v3-sr.c``, which differs from the hardware: the priority mask keeps all of
its bits, an end of any INTID drops the running priority, and that is compared as it is.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.machine.emulated.cpu import icv
from vcpu_scenario.machine.emulated.cpu.cpuif import (
    FIRST_LPI,
    IDLE_PRIORITY,
    MIN_BPR1,
    SPURIOUS,
    CpuInterface,
)

_ACKNOWLEDGE: Final = {sysregs.ICC_IAR0_EL1: 0, sysregs.ICC_IAR1_EL1: 1}
_END: Final = {sysregs.ICC_EOIR0_EL1: 0, sysregs.ICC_EOIR1_EL1: 1}
_BINARY_POINTS: Final = {sysregs.ICC_BPR0_EL1: 0, sysregs.ICC_BPR1_EL1: 1}
_COUNTS: Final = 0x1F
_VMCR_CBPR: Final = 1 << 4


def read(cpuif: CpuInterface, encoding: Encoding) -> int:
    group = _ACKNOWLEDGE.get(encoding)
    return icv.READS[encoding](cpuif) if group is None else _acknowledge(cpuif, group)


def write(cpuif: CpuInterface, encoding: Encoding, value: int, behaviour: Behaviour) -> None:
    if encoding == sysregs.ICC_PMR_EL1:
        cpuif.pmr = value & 0xFF
    elif encoding in _BINARY_POINTS:
        _set_binary_point(cpuif, _BINARY_POINTS[encoding], value, behaviour)
    elif encoding in _END:
        _end(cpuif, _END[encoding], value & 0xFFFF_FFFF)
    else:
        icv.WRITES[encoding](cpuif, value)


def _set_binary_point(cpuif: CpuInterface, group: int, value: int, behaviour: Behaviour) -> None:
    """``__vgic_v3_write_bpr0`` and ``__vgic_v3_write_bpr1``."""
    kept = value & _VMCR_CBPR if behaviour.hyp_bpr1_looks_at_value else cpuif.cbpr
    if not group:
        cpuif.set_binary_point(0, value)
    elif not kept:
        cpuif.bpr1 = max(value, MIN_BPR1) & 7
    cpuif.load()


def _mask(cpuif: CpuInterface, group: int) -> int:
    """``__vgic_v3_pri_to_pre``."""
    return 0xFF & -1 << (cpuif.binary_point(1) if group else cpuif.binary_point(0) + 1)


def _acknowledge(cpuif: CpuInterface, group: int) -> int:
    """``__vgic_v3_read_iar``."""
    lr = cpuif.highest_pending()
    if lr is None or lr.group != group or cpuif.pmr <= lr.priority:
        return SPURIOUS
    priority = lr.priority & _mask(cpuif, group)
    if cpuif.running_priority() <= priority:
        return SPURIOUS
    cpuif.active_priorities[group] |= 1 << (priority >> 3)
    lr.pending, lr.active = False, lr.intid < FIRST_LPI
    return lr.intid


def _end(cpuif: CpuInterface, group: int, intid: int) -> None:
    """``__vgic_v3_write_eoir``."""
    dropped = cpuif.drop_priority()
    if intid >= FIRST_LPI:
        return
    lr = cpuif.find_active(intid)
    if lr is None:
        cpuif.eoi_count = cpuif.eoi_count + 1 & _COUNTS
    elif (
        not cpuif.eoi_mode
        and lr.group == group
        and lr.priority & _mask(cpuif, group) == (IDLE_PRIORITY if dropped is None else dropped)
    ):
        lr.active = False

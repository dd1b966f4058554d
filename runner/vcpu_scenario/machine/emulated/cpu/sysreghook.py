"""System registers that Unicorn has and gets wrong.

It is stopped at each MRS and MSR of a register that it knows, before the access is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.timers import ENABLE, ISTATUS

if TYPE_CHECKING:
    from vcpu_scenario.machine.emulated.cpu.hardware import Hardware

SCTLR_A: Final = 1 << 1
"""Alignment of loads and stores is checked."""
_EL0PCTEN, _EL0VCTEN, _EL0VTEN = 1, 1 << 1, 1 << 8


class RegisterHooks:
    """The hooks of one CPU."""

    def __init__(self, cpu: Hardware) -> None:
        self._cpu = cpu
        self.alignment: bool | None = None
        """What the guest has just made of SCTLR_EL1.A."""
        self.timer_changed = False
        """The CPU was stopped, so that it is looked at when a timer fires."""
        self._read = uc.SYSTEM_HOOK(self._on_read)
        self._write = uc.SYSTEM_HOOK(self._on_write)
        cpu.engine.add_instruction_hook(uc.UC_ARM64_INS_MRS, self._read)
        cpu.engine.add_instruction_hook(uc.UC_ARM64_INS_MSR, self._write)

    def _on_read(self, _uc: int, register: int, cp: uc.CpRegPointer, _data: int) -> int:
        found = cp.contents
        if found.crn < _LOWEST_CRN:
            return 0
        encoding = found.op0, found.op1, found.crn, found.crm, found.op2
        read = _READS.get(encoding)
        if read is None or not self._may(encoding):
            return 0
        self._cpu.set_x(self._cpu.word_at_pc() & 31, read(self._cpu))
        if self._cpu.timers.fired:
            self._stop()
        return 1

    def _on_write(self, _uc: int, register: int, cp: uc.CpRegPointer, _data: int) -> int:
        found = cp.contents
        if found.crn < _LOWEST_CRN and found.crn != _SCTLR_CRN:
            return 0
        encoding = found.op0, found.op1, found.crn, found.crm, found.op2
        if encoding == sysregs.SCTLR_EL1:
            return self._check_sctlr()
        write = _WRITES.get(encoding)
        if write is None or not self._may(encoding):
            return 0
        write(self._cpu, self._cpu.x_or_zero(self._cpu.word_at_pc() & 31))
        if self._cpu.timers.in_use:
            self._stop()
        return 1

    def _check_sctlr(self) -> int:
        """Stops where SCTLR_EL1.A changes, so that hooks can be set."""
        value = self._cpu.x_or_zero(self._cpu.word_at_pc() & 31)
        checked = bool(value & SCTLR_A)
        if self._cpu.current_el and checked != bool(self._cpu.sctlr_el1.value & SCTLR_A):
            self.alignment = checked
            uc.uc_emu_stop(self._cpu.engine.handle)
        return 0

    def _may(self, encoding: Encoding) -> bool:
        """Whether the access is the guest's to make; if not, Unicorn takes its exception."""
        if self._cpu.current_el:
            return True
        bit = _AT_EL0.get(encoding, 0)
        return bool(self._cpu.read_sys(sysregs.CNTKCTL_EL1) & bit)

    def _stop(self) -> None:
        self.timer_changed = True
        uc.uc_emu_stop(self._cpu.engine.handle)


def _read_control(cpu: Hardware) -> int:
    timer = cpu.timers.virtual
    cpu.timers.clock.read()
    return timer.control | (ISTATUS if timer.control & ENABLE and timer.met else 0)


_LOWEST_CRN: Final = 14
_SCTLR_CRN: Final = 1
_CBAR: Final = 0x0800_0000
"""Where the recorded machine has its private peripherals."""
_AT_EL0: Final[dict[Encoding, int]] = {
    sysregs.CNTPCT_EL0: _EL0PCTEN,
    sysregs.CNTVCT_EL0: _EL0VCTEN,
    **{(3, 3, 14, 3, op2): _EL0VTEN for op2 in (0, 1, 2)},
}
_READS: Final[dict[Encoding, Callable[[Hardware], int]]] = {
    sysregs.CNTPCT_EL0: lambda cpu: cpu.timers.physical.count(),
    sysregs.CNTVCT_EL0: lambda cpu: cpu.timers.virtual.count(),
    sysregs.CNTV_TVAL_EL0: lambda cpu: cpu.timers.virtual.value(),
    sysregs.CNTV_CTL_EL0: _read_control,
    sysregs.CNTV_CVAL_EL0: lambda cpu: cpu.timers.virtual.compare,
    sysregs.CBAR_EL1: lambda cpu: _CBAR,
}
_WRITES: Final[dict[Encoding, Callable[[Hardware, int], None]]] = {
    sysregs.CNTV_TVAL_EL0: lambda cpu, value: cpu.timers.virtual.set_value(value),
    sysregs.CNTV_CTL_EL0: lambda cpu, value: cpu.timers.set_control(cpu.timers.virtual, value),
    sysregs.CNTV_CVAL_EL0: lambda cpu, value: cpu.timers.virtual.set_compare(value),
}

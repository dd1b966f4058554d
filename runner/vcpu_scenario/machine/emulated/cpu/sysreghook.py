"""System registers that Unicorn has and gets wrong.

Each MRS and MSR of such a register is hooked by its address, when it is translated. The hook comes
before the access is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.features import (
    CONTROLS,
    switched_on,
    unwalkable,
)
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
        self.changed = False
        """One of the two that follow says something new."""
        self.unmodelled = ""
        """What the guest has just switched on and is not modelled."""
        self.alignment: bool | None = None
        """What the guest has just made of SCTLR_EL1.A."""
        self.simd_changed = False
        """The guest has just changed CPACR_EL1.FPEN."""
        self.timer_changed = False
        """The CPU was stopped, so that it is looked at when a timer fires."""
        self.emulated = False
        """What was just read is emulated at EL2: a step over it ends without an instruction."""
        self._read = uc.SYSTEM_HOOK(self._on_read)
        self._write = uc.SYSTEM_HOOK(self._on_write)
        self._accesses = _ACCESSES | (_OF_FEATURES if cpu.model.armv8_2 else frozenset())
        self._hooks = dict[int, int]()
        """By the addresses of their instructions."""
        self._everywhere = False

    def hook(self, address: int, word: int) -> bool:
        """Hooks the instruction ``word`` at ``address`` if it accesses such a register; whether
        that is new."""
        if word & _ACCESS not in self._accesses or address in self._hooks or self._everywhere:
            return False
        engine = self._cpu.engine
        if len(self._hooks) >= _MOST_HOOKS:
            self._remove()
            self._everywhere = True
            self._hooks[-1] = engine.add_instruction_hook(uc.UC_ARM64_INS_MRS, self._read)
            self._hooks[-2] = engine.add_instruction_hook(uc.UC_ARM64_INS_MSR, self._write)
        else:
            kind, callback = (
                (uc.UC_ARM64_INS_MRS, self._read)
                if word & _IS_READ
                else (uc.UC_ARM64_INS_MSR, self._write)
            )
            self._hooks[address] = engine.add_instruction_hook(kind, callback, address, address)
        return True

    def _remove(self) -> None:
        for hook in self._hooks.values():
            self._cpu.engine.remove_hook(hook)
        self._hooks.clear()
        self._everywhere = False

    def clear(self) -> None:
        """Takes all hooks away."""
        self._remove()
        self.alignment = None
        self.unmodelled = ""
        self.changed = self.simd_changed = self.timer_changed = False

    def _on_read(self, _uc: int, register: int, cp: uc.CpRegPointer, _data: int) -> int:
        found = cp.contents
        encoding = found.op0, found.op1, found.crn, found.crm, found.op2
        read = _READS.get(encoding)
        if read is None or not self._may(encoding):
            return 0
        timers = self._cpu.timers
        physical = encoding == sysregs.CNTPCT_EL0
        if physical and timers.clock.lost_at_el0 and not self._cpu.current_el:
            self.unmodelled = "a read of CNTPCT_EL0 at EL0, which the recorded CPU traps"
            self._change()
            return 1
        self._cpu.set_x(self._cpu.word_at_pc() & 31, read(self._cpu))
        if encoding in _COUNTERS:
            timers.polled(self._cpu.pc_cell.value, self._cpu.executed.value)
        self.emulated = timers.clock.trapped and physical
        if timers.fired:
            self._stop()
        return 1

    def _on_write(self, _uc: int, register: int, cp: uc.CpRegPointer, _data: int) -> int:
        found = cp.contents
        encoding = found.op0, found.op1, found.crn, found.crm, found.op2
        if encoding in CONTROLS and self._check_features(encoding):
            return 0
        if encoding == sysregs.TCR_EL1:
            value = self._cpu.x_or_zero(self._cpu.word_at_pc() & 31)
            return self._check_walks(value, self._cpu.sctlr_el1.value)
        if encoding == sysregs.SCTLR_EL1:
            return self._check_sctlr()
        if encoding == sysregs.CPACR_EL1:
            return self._check_cpacr()
        write = _WRITES.get(encoding)
        if write is None or not self._may(encoding):
            return 0
        write(self._cpu, self._cpu.x_or_zero(self._cpu.word_at_pc() & 31))
        if self._cpu.timers.in_use:
            self._stop()
        return 1

    def _check_features(self, encoding: Encoding) -> bool:
        """Stops where a bit switches on what is not modelled; whether it does."""
        value = self._cpu.x_or_zero(self._cpu.word_at_pc() & 31)
        on = switched_on(self._cpu.model, encoding, value) if self._cpu.current_el else ""
        if on:
            self.unmodelled = on
            self._change()
        return bool(on)

    def _check_walks(self, tcr: int, sctlr: int) -> int:
        """Stops where stage 1 comes to be one that no CPU walks as it is said."""
        if self._cpu.current_el and sctlr & 1 and (what := unwalkable(self._cpu.model, tcr)):
            self.unmodelled = what
            self._change()
        return 0

    def _check_sctlr(self) -> int:
        """Stops where SCTLR_EL1.A changes, so that hooks can be set."""
        value = self._cpu.x_or_zero(self._cpu.word_at_pc() & 31)
        self._check_walks(self._cpu.read_sys(sysregs.TCR_EL1), value)
        checked = bool(value & SCTLR_A)
        if self._cpu.current_el and checked != bool(self._cpu.sctlr_el1.value & SCTLR_A):
            self.alignment = checked
            self._change()
        return 0

    def _check_cpacr(self) -> int:
        """Stops where CPACR_EL1.FPEN changes: other words are to be hooked then."""
        value = self._cpu.x_or_zero(self._cpu.word_at_pc() & 31)
        if self._cpu.current_el and (value ^ self._cpu.read_sys(sysregs.CPACR_EL1)) & FPEN:
            self.simd_changed = True
            self._change()
        return 0

    def _may(self, encoding: Encoding) -> bool:
        """Whether the access is the guest's to make; if not, Unicorn takes its exception."""
        if self._cpu.current_el or encoding == sysregs.DCZID_EL0:
            return True
        bit = _AT_EL0.get(encoding, 0)
        return bool(self._cpu.read_sys(sysregs.CNTKCTL_EL1) & bit)

    def _change(self) -> None:
        self.changed = self._cpu.unprepared = True
        uc.uc_emu_stop(self._cpu.engine.handle)

    def _stop(self) -> None:
        self.timer_changed = True
        uc.uc_emu_stop(self._cpu.engine.handle)


def _read_control(cpu: Hardware) -> int:
    timer = cpu.timers.virtual
    cpu.timers.clock.read()
    return timer.control | (ISTATUS if timer.control & ENABLE and timer.met else 0)


def _read_dczid(cpu: Hardware) -> int:
    """Unicorn's shows the trap on DC ZVA that is this machine's own."""
    prohibited = not cpu.current_el and not cpu.sctlr_el1.value & _SCTLR_DZE
    return _DCZID_64_BYTES | (_DZP if prohibited else 0)


_DCZID_64_BYTES: Final = 4
_DZP: Final = 1 << 4
"""DC ZVA is prohibited."""
_SCTLR_DZE: Final = 1 << 14
FPEN: Final = 3 << 20
"""CPACR_EL1: where SIMD&FP does not trap."""
_MOST_HOOKS: Final = 256
"""Where there would be more, all accesses are hooked."""
_CBAR: Final = 0x0800_0000
"""Where the recorded machine has its private peripherals."""
_AT_EL0: Final[dict[Encoding, int]] = {
    sysregs.CNTPCT_EL0: _EL0PCTEN,
    sysregs.CNTVCT_EL0: _EL0VCTEN,
    **{(3, 3, 14, 3, op2): _EL0VTEN for op2 in (0, 1, 2)},
}
_COUNTERS: Final = frozenset((sysregs.CNTPCT_EL0, sysregs.CNTVCT_EL0))
_READS: Final[dict[Encoding, Callable[[Hardware], int]]] = {
    sysregs.CNTPCT_EL0: lambda cpu: cpu.timers.physical.read_by_guest(),
    sysregs.CNTVCT_EL0: lambda cpu: cpu.timers.virtual.count(),
    sysregs.CNTV_TVAL_EL0: lambda cpu: cpu.timers.virtual.value(),
    sysregs.CNTV_CTL_EL0: _read_control,
    sysregs.CNTV_CVAL_EL0: lambda cpu: cpu.timers.virtual.compare,
    sysregs.DCZID_EL0: _read_dczid,
    sysregs.CBAR_EL1: lambda cpu: _CBAR,
}
_WRITES: Final[dict[Encoding, Callable[[Hardware, int], None]]] = {
    sysregs.CNTV_TVAL_EL0: lambda cpu, value: cpu.timers.virtual.set_value(value),
    sysregs.CNTV_CTL_EL0: lambda cpu, value: cpu.timers.set_control(cpu.timers.virtual, value),
    sysregs.CNTV_CVAL_EL0: lambda cpu, value: cpu.timers.virtual.set_compare(value),
}
_IS_READ: Final = 1 << 21
_ACCESS: Final = 0xFFFF_FFE0
"""An MRS or MSR but for its general register."""


def _access(encoding: Encoding) -> int:
    op0, op1, crn, crm, op2 = encoding
    return 0xD500_0000 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5


_ACCESSES: Final = frozenset(_access(encoding) | _IS_READ for encoding in _READS) | frozenset(
    _access(encoding)
    for encoding in (*_WRITES, sysregs.SCTLR_EL1, sysregs.TCR_EL1, sysregs.CPACR_EL1)
)
_OF_FEATURES: Final = frozenset(map(_access, CONTROLS))

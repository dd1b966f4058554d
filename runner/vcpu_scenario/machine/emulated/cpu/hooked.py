"""The hardware with what it has hooked in Unicorn, which follows the registers that ask for it."""

from __future__ import annotations

import ctypes
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu import features, uc
from vcpu_scenario.machine.emulated.cpu.alignment import Alignment
from vcpu_scenario.machine.emulated.cpu.debugregisters import DebugRegisters
from vcpu_scenario.machine.emulated.cpu.debugunit import DebugUnit
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.sysreghook import FPEN, SCTLR_A, RegisterHooks
from vcpu_scenario.machine.emulated.cpu.wordhooks import WordHooks
from vcpu_scenario.machine.errors import NotModelled


class HookedHardware(Hardware):
    """It catches the words, accesses and registers that Unicorn leaves to its host."""

    def __init__(self, model: CpuModel) -> None:
        self.left = 0
        self.sound = True
        """Nothing has ended it half way."""
        super().__init__(model)
        self._handle = self.engine.handle
        self._count = ctypes.c_size_t()
        self.debug: Final = DebugUnit(self)
        self.watchpoints = self.debug
        self._registers: Final = RegisterHooks(self)
        self._word_hooks: Final = WordHooks(self, self._registers)
        self._alignment: Final = Alignment(self, self._word_hooks.inspect)
        self.debug.write_breakpoints(DebugRegisters())  # the first code, which no hook is told of
        self._pristine = self.engine.new_context()
        uc.uc_context_save(self.engine.handle, self._pristine)

    def reset(self) -> None:
        """Makes the CPU as good as new, for another VM: nothing of the last one is left."""
        # First the breakpoints: Unicorn's context points to them and must not be restored over.
        self.debug.load(DebugRegisters())
        self.debug.forget_hit()
        self._word_hooks.clear()
        self._registers.clear()
        self.stage2.clear()
        self.engine.flush_translations()
        self.engine.flush_tlb()
        uc.uc_context_restore(self.engine.handle, self._pristine)
        self.clear_state()

    def forget_registers(self) -> None:
        """Makes the registers what they are at power-on, and all else of the vCPU."""
        self.debug.load(DebugRegisters())
        simd, checked = self.read_sys(sysregs.CPACR_EL1) & FPEN, self.sctlr_el1.value & SCTLR_A
        uc.uc_context_restore(self.engine.handle, self._pristine)
        self.clear_state()
        self.engine.flush_tlb()
        self.hooks_changed(simd=bool(simd), alignment=False if checked else None)

    def hooks_changed(self, *, simd: bool, alignment: bool | None, by_turn: bool = False) -> None:
        """Other words have to be caught than before, since the registers that say so were changed
        from outside, or are another vCPU's."""
        if simd and by_turn:
            self._word_hooks.simd_changed_by_turn()
        elif simd:
            self._word_hooks.simd_changed()
        if alignment is not None:
            self._word_hooks.check_alignment(alignment)
        self.debug.translation_changed()

    def write_sys(self, encoding: Encoding, value: int) -> None:
        if encoding == sysregs.CPACR_EL1 and (value ^ self.read_sys(encoding)) & FPEN:
            self._word_hooks.simd_changed()
        super().write_sys(encoding, value)
        if encoding == sysregs.SCTLR_EL1:
            self.debug.translation_changed()
            self._word_hooks.check_alignment(bool(value & SCTLR_A))
        if encoding == sysregs.SPSR_EL1:
            self.may_be_illegal = self.unprepared = True
        if encoding in (sysregs.SCTLR_EL1, sysregs.TCR_EL1):
            self.unprepared = True  # a VMM may write the one before it writes the other

    def _prepare(self) -> None:
        """The hooks are as the guest needs them from here on."""
        self.unprepared = self.may_be_illegal
        features.check_walks(self)
        if self._registers.changed:
            self._hook_anew()
        if self.passed_hooks:
            self._word_hooks.ordered.forget_passed()

    def _hook_anew(self) -> None:
        """The guest has changed which of its words have to be caught."""
        registers = self._registers
        registers.changed = False
        if registers.unmodelled:
            raise NotModelled(registers.unmodelled)
        if registers.alignment is not None:
            self._word_hooks.check_alignment(registers.alignment)
            registers.alignment = None
        if registers.simd_changed:
            registers.simd_changed = False
            self._word_hooks.simd_changed()

    def close(self) -> None:
        self.engine.close()

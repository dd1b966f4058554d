"""The hardware: a Cortex-A57 with EL2, up to the exceptions that it takes to EL2.

Unicorn executes EL1 and EL0, with its own MMU, software step, breakpoints, virtual interrupts
and the traps that HCR_EL2 and MDCR_EL2 ask for. What it leaves to its host is done here and in
the modules beside, below KVM: exceptions to EL1 (:mod:`.vectoring`), the syndrome of stage-2
aborts (:mod:`.aborts`), the virtual GIC's CPU interface and DC ZVA (:mod:`.native`), watchpoints
(:mod:`.debugunit`), traps of SIMD&FP (:mod:`.wordhooks`), PC alignment faults (:mod:`.alignment`).

KVM above sees :meth:`Cpu.enter` return an exception class, and reads ``hsr``, ``far`` and ``ipa``
as it would read ESR_EL2, FAR_EL2 and HPFAR_EL2.
"""

from __future__ import annotations

import ctypes
from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu import aborts, features, illegal, native, uc, vectoring
from vcpu_scenario.machine.emulated.cpu.alignment import Alignment
from vcpu_scenario.machine.emulated.cpu.controls import HCR_LINES, HCR_TDZ, MDCR_TDE
from vcpu_scenario.machine.emulated.cpu.debugregisters import DebugRegisters
from vcpu_scenario.machine.emulated.cpu.debugunit import DebugUnit
from vcpu_scenario.machine.emulated.cpu.hardware import EXIT_IRQ, Hardware
from vcpu_scenario.machine.emulated.cpu.regfile import IL, SS
from vcpu_scenario.machine.emulated.cpu.sysreghook import FPEN, SCTLR_A, RegisterHooks
from vcpu_scenario.machine.emulated.cpu.wordhooks import WordHooks
from vcpu_scenario.machine.errors import NotModelled

EXIT_BUDGET: Final = -1
"""``enter`` ended because the instruction budget ran out: the time limit's signal."""

EXCEPTION_COST: Final = 100
"""What an exception settled here is charged against the instruction budget."""

_SINGLE_COST: Final = 20
"""The same of an instruction that is run by itself."""

# What each run needs: going through a module costs as much as using it.
_emu_start: Final = uc.uc_emu_start
_ZERO: Final = uc.ZERO
_EXCEPTION: Final = uc.UC_ERR_EXCEPTION
_EC_SHIFT: Final = esr.EC_SHIFT
_BELOW_KVM: Final = native.BELOW_KVM

_MODELLED: Final = illegal.MODELLED


class Cpu(Hardware):
    """One vCPU's hardware."""

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
            features.check_granule(self)

    # -- running -----------------------------------------------------------------------------

    def enter(self, budget: int) -> int:
        """Runs the guest until an exception is taken to EL2, and returns its class, or
        ``EXIT_BUDGET`` after ``budget`` instructions without one.

        What is ``left`` of the budget then counts what was settled here; not what Unicorn ran
        at the last, which it does not tell.
        """
        gic, stepped = self.gic, self.mdscr & 1
        if gic is not None and (gic.cpuif.lrs or self._hcr & HCR_LINES):
            self.sync_interrupt_lines()
        if self.attended and self.model.armv8_2:
            features.check_controls(self)
        self.exclusive.value = -1  # an exception return clears the local exclusive monitor
        if not stepped:
            # An exception return takes PSTATE.SS along only while software step is enabled.
            if self.state.value & SS:
                self.clear_ss()
        elif not self._mdcr & MDCR_TDE:
            return self._enter_one_by_one(budget)
        if self.attended:
            return self._enter_attended(budget)
        while budget > 0:
            outcome = self._run(budget)
            if outcome is not None:
                self.left = budget
                return outcome
            budget -= EXCEPTION_COST
            if self.attended:
                return self._enter_timed(budget)
        self.left = 0
        return EXIT_BUDGET

    def _enter_attended(self, budget: int) -> int:
        """The same where an SError may pend, or something may end a run of Unicorn."""
        if self.serror_pends or self.perf.selective:
            return self._enter_one_by_one(budget)
        return self._enter_timed(budget)

    def _enter_timed(self, budget: int) -> int:
        """The same up to where a timer fires or a counter overflows."""
        run = self._run_counted if self.perf.running else self._run
        while budget > 0:
            if self._host_interrupted:
                self.left = budget
                return EXIT_IRQ
            # Unicorn does not end a step that it is stopped in.
            lefts = () if self.mdscr & 1 else (self.timers.left, self.perf.left)
            ticks = min([budget, *(left for left in lefts if left is not None)])
            outcome = run(ticks)
            if outcome == EXIT_BUDGET and ticks < budget:
                self.timers.clock.count += ticks
                budget -= ticks
            elif outcome is not None:
                self.left = budget
                return outcome
            else:
                budget -= EXCEPTION_COST
        self.left = 0
        return EXIT_BUDGET

    @property
    def _host_interrupted(self) -> bool:
        """A timer has fired, or a counter overflowed, of which KVM does not know."""
        return self.timers.fired or self.perf.left == 0

    def _enter_one_by_one(self, budget: int) -> int:
        """Unicorn knows no virtual SErrors, and misses that unmasking debug exceptions starts
        the guest's own step: looks after each instruction."""
        run = self._run_counted if self.perf.running else self._run
        while budget > 0:
            if self.timers.in_use:
                self.timers.clock.count += 1
            if self._host_interrupted:
                self.left = budget
                return EXIT_IRQ
            self.take_pending_serror()
            self.rebuild_flags()
            if self.serror_pends:
                features.check_barrier(self)
            if self.serror_pends and native.reads_isr(self):
                outcome = self.finish_natively()
            else:
                outcome = run(1)
            if outcome is not None and outcome != EXIT_BUDGET:
                self.left = budget
                return outcome
            budget -= _SINGLE_COST
        self.left = 0
        return EXIT_BUDGET

    def _run_counted(self, budget: int) -> int | None:
        """The same while the PMU counts what runs."""
        budget = 1 if self.untrap_dc_zva else budget
        level = self.current_el
        outcome = self._run(budget)
        count = self._count.value
        self.perf.ran(budget - count + min(self.executed.value, count), level)
        return outcome

    def _run(self, budget: int) -> int | None:
        """One run of Unicorn: the exception it ended with, None where that was settled."""
        if self.unprepared:
            if self.untrap_dc_zva:
                return self._run_untrapped()
            if self.may_be_illegal and self._is_illegal():
                illegal.take(self)
                return None
            self._prepare()
        self._count.value = budget
        while True:
            status = _emu_start(self._handle, self.pc_cell, _ZERO, _ZERO, self._count)
            if self._word_hooks.hooked is None:
                break
            # Before code with hooks that are new: with them it goes on.
            self._word_hooks.translate_anew()
            if self._count.value == self.executed.value:
                break
            self._count.value -= self.executed.value
        if self.state.value not in _MODELLED:
            raise NotModelled(illegal.strange(self.state.value))
        if status and self.debug.watch_hit is not None:
            loading = status == uc.UC_ERR_READ_UNMAPPED
            if loading and self.debug.hit_was_before(self.fault_ipa.value):
                return self.debug.watchpoint_exit()
            self.debug.forget_hit()
        if status != _EXCEPTION:
            self.status = status
            return _ON_STATUS[status](self)
        self.hsr = hsr = self.syndrome.value
        if self._registers.emulated:
            self._registers.emulated = False
            if hsr == esr.STEP_COMPLETE:
                self.hsr = hsr = esr.STEP_PENDING
        if self.target_el.value == 1:
            return vectoring.taken_to_el1(self)
        exception = hsr >> _EC_SHIFT
        settle = _BELOW_KVM.get(exception)
        return exception if settle is None else settle(self)

    def _is_illegal(self) -> bool:
        """Whether an exception for the illegal execution state is next. Where that is to come each
        ERET is looked at from now on."""
        self.may_be_illegal = bool(self.state.value & IL)
        if self.may_be_illegal or illegal.is_odd(self.spsr_el1.value):
            self._word_hooks.watch_returns()
            self._word_hooks.translate_anew()
        return self.may_be_illegal and illegal.is_next(self)

    def _prepare(self) -> None:
        """The hooks are as the guest needs them from here on."""
        self.unprepared = self.may_be_illegal
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

    def _run_untrapped(self) -> int | None:
        """Runs the DC ZVA at pc, for Unicorn to raise its stage-1 fault."""
        self.untrap_dc_zva = False
        self.engine.write_sys(sysregs.HCR_EL2, self.hcr_value & ~HCR_TDZ)
        outcome = self._run(1)
        self.reassert_hcr()
        return outcome

    def _stopped(self) -> int | None:
        """emu_start came back without an exception: a watchpoint stopped it, a trap of SIMD&FP,
        a misaligned pc, or the budget is spent."""
        if self.debug.watch_hit is not None:
            return self.debug.watchpoint_exit()
        if self._word_hooks.hit:
            return self._word_hooks.take()
        if self._alignment.hit:
            return self._alignment.take()
        registers = self._registers
        if registers.changed or registers.timer_changed:
            registers.timer_changed = False
            return None
        return EXIT_BUDGET

    def close(self) -> None:
        self.engine.close()


_ON_STATUS: Final = {
    uc.UC_ERR_OK: Cpu._stopped,
    uc.UC_ERR_READ_UNMAPPED: aborts.data_abort,
    uc.UC_ERR_WRITE_UNMAPPED: aborts.data_abort,
    uc.UC_ERR_READ_PROT: aborts.data_abort,
    uc.UC_ERR_WRITE_PROT: aborts.data_abort,
    uc.UC_ERR_FETCH_UNMAPPED: vectoring.fetch_abort,
    uc.UC_ERR_FETCH_PROT: vectoring.fetch_abort,
    uc.UC_ERR_INSN_INVALID: native.invalid,
}

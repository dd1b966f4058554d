"""``KVM_RUN`` of an emulated vCPU: into the guest, and what KVM does with each of its exits."""

from __future__ import annotations

from errno import EINTR
from time import monotonic
from typing import Final

from vcpu_scenario.arm64.esr import EC_SOFTSTP_LOW
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu.core import EXCEPTION_COST, EXIT_BUDGET
from vcpu_scenario.machine.emulated.cpu.hardware import EXIT_IRQ
from vcpu_scenario.machine.emulated.cpu.timers import TICKS_OF_AN_EXIT
from vcpu_scenario.machine.emulated.kvm import company, guestdebug
from vcpu_scenario.machine.emulated.kvm.exits import (
    fake_step_exit,
    fixup_guest_exit,
    handle_exit,
    maybe_settled_in_hyp,
)
from vcpu_scenario.machine.emulated.kvm.inject import adjust_pc
from vcpu_scenario.machine.emulated.kvm.mmio import Completion, complete
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.steps import Steps, inside_of
from vcpu_scenario.trace import Inside

EXIT_COST: Final = 1000
"""What an exit handled in the kernel is charged against the instruction budget."""

_PC: Final = 32
_EXIT_MMIO: Final = abi.KVM_EXIT_MMIO
_PATIENCE: Final = 10
"""A run is bounded by its budget, the same on every host. The clock ends what outwits it, at this
many times the seconds that a real machine is given."""


class VcpuRun:
    """Runs one vCPU, which is on the CPU whenever that is asked for."""

    def __init__(self, vcpu: Vcpu) -> None:
        self.vcpu: Final = vcpu
        self._stepped, self._debugged = guestdebug.step_states(vcpu)
        self._steps: Final = Steps(vcpu)
        self._completed: Completion | None = None
        self._entered: int | None = None
        self._left: int | None = None
        self._maybe_settled_in_hyp: Final = maybe_settled_in_hyp(vcpu.behaviour)

    @property
    def inside(self) -> Inside:
        """What is known of the last run beyond its exit."""
        ran = self._steps.ran
        known = None if ran is None else tuple(ran)
        return inside_of(self._completed, self._entered, self._left, known)

    def run(self, instructions: int, seconds: float, turn: float | None) -> int:
        """``kvm_arch_vcpu_ioctl_run`` of a vCPU that may run: 0, or the negative errno."""
        vcpu = self.vcpu
        run, behaviour = vcpu.run, vcpu.behaviour
        if vcpu.company:
            company.load(vcpu)
        self._completed = self._entered = None
        if run.exit_reason == _EXIT_MMIO:
            self._completed = complete(vcpu)
            if behaviour.step_exit_faked and fake_step_exit(vcpu):
                return 0
        step = None
        if vcpu.guest_debug:
            step = self._stepped if vcpu.stepping else guestdebug.unstepped(vcpu, self._debugged)
            if step is not None:
                step.load()
        if run.immediate_exit:
            result = -EINTR
        else:
            run.exit_reason = abi.KVM_EXIT_UNKNOWN
            run.flags = 0
            vcpu.seconds = seconds if turn is None else turn
            vcpu.turn = None if turn is None else instructions
            vcpu.waits = False
            try:
                if vcpu.company:
                    company.begin(vcpu)
                result = self._loop(step, instructions, seconds)
                if vcpu.company:
                    company.tell_user(vcpu)
            except BaseException:
                vcpu.cpu.sound = False
                raise
        if vcpu.company:
            company.put(vcpu)
        if behaviour.pc_committed_on_return and (
            vcpu.increment_pc or vcpu.pending_exception is not None
        ):
            adjust_pc(vcpu)
        if step is not None:
            step.put()
        return result

    def _loop(self, step: guestdebug.StepState | None, budget: int, seconds: float) -> int:
        vcpu = self.vcpu
        cpu, stepping = vcpu.cpu, vcpu.stepping
        regs = cpu.regs
        steps = self._steps
        steps.ran = [] if stepping else None
        deadline = 0.0
        while True:
            if vcpu.company and (refused := company.flush(vcpu)) is not None:
                return refused
            if step is not None:
                step.setup()
            if vcpu.increment_pc or vcpu.pending_exception is not None:
                adjust_pc(vcpu)
            if vcpu.unloaded:
                vcpu.unloaded.clear()
            start = regs[_PC]
            if self._entered is None:
                self._entered = start
            exception = cpu.enter(budget)
            if exception in self._maybe_settled_in_hyp or (vcpu.company and vcpu.host_interrupt):
                exception = self._leave_hyp(exception)
            left = regs[_PC]
            cpu.timers.clock.count += TICKS_OF_AN_EXIT
            if step is not None:
                step.clear()
            if vcpu.company:
                company.sync(vcpu)
            if exception == EC_SOFTSTP_LOW and step is not None:
                step.step_taken()
            result = handle_exit(vcpu, exception)
            if stepping:
                steps.note(start, left, exception)
            self._left = left
            if result <= 0:
                return result
            budget = cpu.left - EXIT_COST
            deadline = deadline or monotonic() + _PATIENCE * seconds
            if exception == EXIT_BUDGET or budget <= 0 or monotonic() > deadline:
                vcpu.signal_pending = True
                budget = max(budget, 1)

    def _leave_hyp(self, exception: int) -> int:
        """The rest of ``__kvm_vcpu_run``: enters again until hyp leaves an exit to the host."""
        vcpu = self.vcpu
        cpu = vcpu.cpu
        while exception in self._maybe_settled_in_hyp:
            left = fixup_guest_exit(vcpu, exception)
            if left != exception:
                self._steps.ran = None
            if left is not None:
                exception = left
                break
            budget = cpu.left - EXCEPTION_COST
            if budget <= 0:
                cpu.left = 0
                return EXIT_BUDGET
            exception = cpu.enter(budget)
        if vcpu.company and vcpu.host_interrupt and cpu.step_is_pending(exception):
            vcpu.host_interrupt = False
            return EXIT_IRQ
        return exception

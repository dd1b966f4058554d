"""Cloud Hypervisor (``vmm/src/gdb.rs``, ``cpu.rs``, ``vm.rs``, ``lib.rs``,
``hypervisor/src/kvm/mod.rs`` at ae44c2971).

From its source; it was not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.debugger import reason_of
from vcpu_scenario.vmm.told import Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms.kernel_half import FewRegisters, is_kernel, translate
from vcpu_scenario.vmm.vmms.terms import HARDWARE, Known


class CloudHypervisor(FewRegisters):
    """A step takes its breakpoints away, and so does the end of it; each stop is one more
    ``KVM_RUN``. Of several vCPUs the first alone has breakpoints, and the step of another is never
    switched off; those that stop as the VM is paused are told of as it is resumed."""

    name = "cloud-hypervisor"
    known = Known("ae44c2971")
    points = frozenset({HARDWARE})
    most_hardware = 6
    runs_at_pause = True
    queues = True
    locks = False
    names_thread = False

    single_step = False
    """``GdbStub.single_step``: whether any vCPU was asked to step."""

    def resumes(self, steps: Sequence[bool | None]) -> Sequence[bool | None]:
        """``clear_resume_actions`` ends a step with ``SetSingleStep(false)`` of vCPU 0, which
        programs no breakpoint. All continue (``debug_resume``)."""
        if self.single_step:
            self.single_step = False
            self.ask(self._request((), step=False))
        return [bool(step) for step in steps]

    def resume(self, step: bool) -> Told | None:
        """``set_resume_action_step``: of the first one that steps. It programs no breakpoint
        either: only a ``Z`` or ``z`` does."""
        self.stepping = step
        if step and not self.single_step:
            self.single_step = True
            self.ask(self._request((), step=True))
        return None

    def points_changed(self) -> None:
        """``SetHwBreakPoint``, which knows of no step, and of vCPU 0 alone."""
        with self.at(0):
            self.ask(self._request(tuple(self.hardware), step=False))

    def _request(self, addresses: tuple[int, ...], *, step: bool) -> GuestDebug:
        """``set_guest_debug``."""
        control = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW
        return GuestDebug(control | (abi.KVM_GUESTDBG_SINGLESTEP if step else 0), addresses)

    def tells(self, exit_: Exit) -> Told | None:
        """``wait_for_stop_reason``: a step while it steps, else a hardware breakpoint, whatever
        it was."""
        if reason_of(exit_) is None:
            return None
        return Stopped(Why.STEP if self.single_step else Why.HARDWARE)

    def resets(self) -> Told:
        """``vm_reboot`` makes a new VM, which waits until its debugger resumes it, while
        ``gdb_thread`` waits for a stop of the old one."""
        return Over(1, unmodelled="what Cloud Hypervisor's debugger sees behind a reset")

    def ipa(self, addr: int) -> int:
        """``translate_gva``: what is not the kernel's is physical."""
        return translate(self.machine, self.memory, addr) if is_kernel(addr) else addr

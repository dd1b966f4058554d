"""crosvm (``src/crosvm/gdb.rs``, ``src/crosvm/config.rs``, ``src/crosvm/sys/linux/vcpu.rs``,
``hypervisor/src/kvm/aarch64.rs``, ``aarch64/src/lib.rs`` at f1e797a68).

From its source; it was not recorded.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.debugger import reason_of
from vcpu_scenario.vmm.told import Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms.kernel_half import UserRegisters
from vcpu_scenario.vmm.vmms.terms import HARDWARE, Known, Refused

_RESET: Final = 32
"""``CommandStatus::VmReset`` of ``src/main.rs``."""


class Crosvm(UserRegisters):
    """Nothing but a change of breakpoints switches its step off; addresses are physical."""

    name = "crosvm"
    known = Known("f1e797a68")
    points = frozenset({HARDWARE})
    most_hardware = 6
    names_thread = False
    refuses_several = "crosvm's `gdb` requires the number of vCPU to be 1 (validate_config)"

    def resume(self, step: bool) -> Told | None:
        """``EnableSinglestep`` passes no breakpoints; a continue asks KVM for nothing."""
        self.stepping = step
        if step:
            self.ask(GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP))
        return None

    def points_changed(self) -> None:
        """``set_guest_debug`` with what is set, and no step. It fails with any address that is no
        multiple of 4, and that stays in the list of the stub (``add_hw_breakpoint``)."""
        if any(addr & 3 for addr in self.hardware):
            raise Refused
        control = abi.KVM_GUESTDBG_ENABLE | (abi.KVM_GUESTDBG_USE_HW if self.hardware else 0)
        self.ask(GuestDebug(control, tuple(self.hardware)))

    def remove(self, kind: int, addr: int, length: int) -> None:
        """``remove_hw_breakpoint`` keeps those elsewhere, whether or not there was one."""
        self.hardware = [one for one in self.hardware if one != addr]
        self.points_changed()

    def tells(self, exit_: Exit) -> Told | None:
        """``wait_for_stop_reason``: the step it waits for, or else a hardware breakpoint."""
        if reason_of(exit_) is None:
            return None
        return Stopped(Why.STEP if self.stepping else Why.HARDWARE)

    def resets(self) -> Told:
        """``ExitState::Reset``: its process ends."""
        return Over(_RESET, "crosvm ends at a reset")

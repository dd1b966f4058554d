"""QEMU 7.2.22 with the patch of the thread of 2017, which was built and recorded."""

from __future__ import annotations

from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.debugger import stepping
from vcpu_scenario.vmm.told import Stopped, Told, Why
from vcpu_scenario.vmm.vmms.qemu import Qemu72
from vcpu_scenario.vmm.vmms.terms import RECORDED, Known


class Qemu2017(Qemu72):
    """While stepping it leaves its run loop with ``EXCP_DEBUG`` after ``KVM_EXIT_MMIO`` too, before
    the access is complete; the ``KVM_RUN`` by which it is kicked completes it."""

    name = "qemu-2017"
    known = Known("7.2.22 with the patch", RECORDED)
    tells_of = Qemu72.tells_of | {"MMIO"}

    def tells(self, exit_: Exit) -> Told | None:
        if exit_.exit == "MMIO" and not exit_.ret and stepping(self.debug):
            return Stopped(Why.STEP)
        return super().tells(exit_)

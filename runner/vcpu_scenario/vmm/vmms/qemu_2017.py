"""QEMU 7.2.22 with the patch of the thread of 2017, which was built and recorded."""

from __future__ import annotations

from vcpu_scenario.vmm import qemu
from vcpu_scenario.vmm.vmms.base import RECORDED, Known
from vcpu_scenario.vmm.vmms.qemu import Qemu72


class Qemu2017(Qemu72):
    """While stepping it leaves its run loop after ``KVM_EXIT_MMIO`` too, before the access is
    complete; the ``KVM_RUN`` by which it is kicked completes it."""

    name = "qemu-2017"
    known = Known("7.2.22 with the patch", RECORDED)
    loop = qemu.Qemu2017()

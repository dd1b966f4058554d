"""VMMs as a debugger meets them: one module for each, with what it is known from.

They act over the machine's interface alone. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.cloud_hypervisor import CloudHypervisor
from vcpu_scenario.vmm.vmms.crosvm import Crosvm
from vcpu_scenario.vmm.vmms.firecracker import Firecracker
from vcpu_scenario.vmm.vmms.kvmtool import Kvmtool
from vcpu_scenario.vmm.vmms.plain import Plain
from vcpu_scenario.vmm.vmms.qemu import Qemu, Qemu72
from vcpu_scenario.vmm.vmms.qemu_2017 import Qemu2017

VMMS: Final[Mapping[str, type[Vmm]]] = {
    vmm.name: vmm
    for vmm in (Plain, Qemu, Qemu72, Qemu2017, Firecracker, CloudHypervisor, Crosvm, Kvmtool)
}
"""By the name on the command line."""

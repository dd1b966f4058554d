"""KVM's in-kernel interrupt controller and the virtual CPU interface of the hardware.

The caller keeps KVM's order: ``flush()`` before an entry; while the guest runs, ``virq()`` and
``vfiq()`` tell the lines and the ``icc_*`` or ``gicv`` accesses go to the hardware; ``sync()``
after every exit, before ``mmio()`` or a trapped register write is handled.
"""

from __future__ import annotations

from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.case import Gic
from vcpu_scenario.machine.emulated.cpu.icv import UNDEF, Undefined
from vcpu_scenario.machine.emulated.vgic.base import Vgic
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.v2 import VgicV2
from vcpu_scenario.machine.emulated.vgic.v3 import VgicV3


def create(gic: Gic, features: VgicFeatures, first: Vgic | None = None) -> VgicV2 | VgicV3:
    """The vGIC of a vCPU, as ``KVM_CREATE_DEVICE`` and ``KVM_DEV_ARM_VGIC_CTRL_INIT`` leave it;
    ``first`` is that of the VM's first one."""
    kind = VgicV2 if gic.version == 2 else VgicV3
    return kind(gic, features, None if first is None else first.distributor)


__all__ = [
    "UNDEF",
    "Encoding",
    "Undefined",
    "Vgic",
    "VgicFeatures",
    "VgicV2",
    "VgicV3",
    "create",
]

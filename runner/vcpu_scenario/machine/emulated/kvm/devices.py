"""``KVM_CREATE_DEVICE`` by the type of the device."""

from __future__ import annotations

from errno import ENODEV
from typing import Final

from vcpu_scenario.ioctls.devices import CreateDevice
from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.machine.emulated.kvm import its, vgicdevice
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported

_VFIO: Final = 4
_VERSIONS: Final[dict[int, vgicdevice.Version]] = {
    attrs.KVM_DEV_TYPE_ARM_VGIC_V2: 2,
    attrs.KVM_DEV_TYPE_ARM_VGIC_V3: 3,
}


def create(vcpu: Vcpu, asked: CreateDevice) -> None:
    """``kvm_ioctl_create_device``."""
    vm, version = vcpu.vm, _VERSIONS.get(asked.type)
    if asked.type == _VFIO:
        raise NotModelled("a KVM device of type VFIO")
    if version is None and asked.type != attrs.KVM_DEV_TYPE_ARM_VGIC_ITS:
        raise KvmError(ENODEV, f"KVM_CREATE_DEVICE {asked.type}")
    if vm.vgic is not None and vm.vgic.version != (version or 3):
        raise Unsupported(f"this host's GIC cannot run a vGICv{version or 3}")
    if asked.test:
        return
    if version is not None:
        vgicdevice.create(vcpu, version)
        return
    its.create(vcpu)

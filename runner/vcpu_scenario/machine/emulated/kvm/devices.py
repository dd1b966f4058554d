"""``KVM_CREATE_DEVICE`` by the type of the device, and an ITS that is set up (``vgic-its.c``).

No guest can use an ITS here: what it would find of one is not modelled.
"""

from __future__ import annotations

from errno import EBADF, EFAULT, ENODEV
from typing import Final

from vcpu_scenario.ioctls import CreateDevice
from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.machine.emulated.kvm import vgicdevice
from vcpu_scenario.machine.emulated.kvm.its import Its
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.emulated.vgic.placement import check_range
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported

_VFIO: Final = 4
_VERSIONS: Final[dict[int, vgicdevice.Version]] = {
    attrs.KVM_DEV_TYPE_ARM_VGIC_V2: 2,
    attrs.KVM_DEV_TYPE_ARM_VGIC_V3: 3,
}
_SIZE: Final = 0x2_0000
_ALIGNMENT: Final = 0x1_0000


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
    vm.its = Its()
    if vcpu.gic is not None:
        vcpu.gic.distributor.has_its = True


def set_its_attribute(vcpu: Vcpu, group: int, attr: int, value: int | None) -> None:
    """``vgic_its_set_attr``."""
    its, what = vcpu.vm.its, f"its {attrs.said(group, attr)}"
    if its is None:
        raise KvmError(EBADF, what)
    if group == attrs.KVM_DEV_ARM_VGIC_GRP_CTRL:
        if attr != attrs.KVM_DEV_ARM_VGIC_CTRL_INIT:
            raise NotModelled(f"an attribute of an ITS, {what}")
    elif group != attrs.KVM_DEV_ARM_VGIC_GRP_ADDR:
        raise NotModelled(f"an attribute of an ITS, {what}")
    elif attr != attrs.KVM_VGIC_ITS_ADDR_TYPE:
        raise KvmError(ENODEV, what)
    elif value is None:
        raise KvmError(EFAULT, what)
    else:
        _place(vcpu, its, value, what)


def _place(vcpu: Vcpu, its: Its, base: int, what: str) -> None:
    try:
        check_range(base, _SIZE, _ALIGNMENT, vgicdevice.features_of(vcpu), its.base)
    except Refused as refused:
        raise KvmError(refused.errno, what) from None
    its.base = base
    vcpu.vm.bus.register(base, _SIZE, its)

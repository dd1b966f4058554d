"""Ioctls that are no more than a question: which the kernel answers, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EINVAL, ENODEV, ENXIO
from typing import Final

from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.vm import Ask
from vcpu_scenario.kernels.extensions import extension
from vcpu_scenario.kernels.table import Kernel
from vcpu_scenario.kvm import capabilities, plainioctls, vgicattrs
from vcpu_scenario.machine.emulated.kvm.creation import VGIC_V2_MAX_CPUS
from vcpu_scenario.machine.emulated.kvm.devices import Devices
from vcpu_scenario.machine.emulated.kvm.events import check_there, get_vcpu_events
from vcpu_scenario.machine.emulated.kvm.reset import preferred_target
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError, NotModelled

_API_VERSION: Final = 12
_MMAP_SIZE: Final = 2 * 4096
"""``struct kvm_run`` and the coalesced ring, a page each."""
_MSI_DEVID: Final = capabilities.NUMBERS["msi_devid"]
_VCPUS: Final = (capabilities.NUMBERS["max_vcpus"], capabilities.NUMBERS["max_vcpu_id"])
_WORD: Final = 0xFFFF_FFFF
_ADDRESSES: Final = {
    vgicattrs.KVM_VGIC_V2_ADDR_TYPE_DIST: 2,
    vgicattrs.KVM_VGIC_V2_ADDR_TYPE_CPU: 2,
    vgicattrs.KVM_VGIC_V3_ADDR_TYPE_DIST: 3,
    vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST: 3,
}
"""By type the version of the vGIC that has such an address."""


def answer(vcpu: Vcpu, kernel: Kernel, asked: Ask) -> int:
    """What KVM returns, or the structure that it fills. Raises EINVAL for an ioctl that arm64 does
    not have."""
    known = _KNOWN.get(asked.request)
    if known is None:
        raise KvmError(EINVAL, asked.request)
    return known(vcpu, kernel, asked)


def _extension(vcpu: Vcpu, kernel: Kernel, asked: Ask) -> int:
    """``kvm_vm_ioctl_check_extension``, of which /dev/kvm gives the same."""
    what = f"KVM_CHECK_EXTENSION {capabilities.said(asked.arg)}"
    if asked.file == "system" and asked.arg == _MSI_DEVID:  # which is the VM's
        raise KvmError(EINVAL, what)
    found, vm = extension(kernel, asked.arg), vcpu.vm
    if found is None:
        raise NotModelled(what)
    if asked.arg == _MSI_DEVID:
        return int(bool(vm.itses))
    if asked.arg in _VCPUS and vm.vgic is not None and vm.vgic.version == 2:
        return VGIC_V2_MAX_CPUS
    return found


def _events(vcpu: Vcpu, kernel: Kernel, asked: Ask) -> int:
    check_there(vcpu, asked.request)
    events = get_vcpu_events(vcpu)
    assert events is not None
    return int.from_bytes(bytes(events), "little")


def _has_attribute(vcpu: Vcpu, kernel: Kernel, asked: Ask) -> int:
    """``kvm_vm_has_attr``: there is the filter of hypercalls alone."""
    if not vcpu.behaviour.smccc_filter:
        raise KvmError(EINVAL, asked.request)
    if asked.arg >> 32:  # the group and the attribute
        raise KvmError(ENXIO, asked.request)
    return 0


def _set_device_address(vcpu: Vcpu, kernel: Kernel, asked: Ask) -> int:
    """``kvm_vm_ioctl_set_device_addr``: the addresses of a vGIC by their types."""
    id_, addr = asked.arg & (1 << 64) - 1, asked.arg >> 64
    device = vcpu.vm.vgic
    version = _ADDRESSES.get(id_)
    if version == 3 and vcpu.behaviour.device_addr_of_gicv2_alone:
        version = None
    if device is None or device.version != version:
        raise KvmError(ENODEV, asked.request)
    which = DeviceAttr("vgic", vgicattrs.KVM_DEV_ARM_VGIC_GRP_ADDR, id_)
    Devices(vcpu.vm, kernel.name).set(which, addr)
    return 0


_KNOWN: Final[Mapping[str, Callable[[Vcpu, Kernel, Ask], int]]] = {
    "KVM_GET_API_VERSION": lambda vcpu, kernel, asked: _API_VERSION,
    "KVM_GET_VCPU_MMAP_SIZE": lambda vcpu, kernel, asked: _MMAP_SIZE,
    plainioctls.CHECK_EXTENSION: _extension,
    plainioctls.PREFERRED_TARGET: lambda vcpu, kernel, asked: preferred_target(vcpu),
    plainioctls.GET_MP_STATE: lambda vcpu, kernel, asked: vcpu.mp_state,
    plainioctls.GET_VCPU_EVENTS: _events,
    plainioctls.HAS_VM_ATTR: _has_attribute,
    plainioctls.SET_DEVICE_ADDR: _set_device_address,
}

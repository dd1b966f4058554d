"""The ITSs of a VM, and ``KVM_SIGNAL_MSI``."""

from __future__ import annotations

from errno import EINVAL, ENODEV

from vcpu_scenario.machine.emulated.kvm import vgicdevice
from vcpu_scenario.machine.emulated.kvm.guestmemory import GuestMemory
from vcpu_scenario.machine.emulated.kvm.itsdevice import ItsDevice
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.lpis import Lpis
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import KvmError, NotModelled


def _lpis_of(vcpu: Vcpu) -> Lpis | None:
    return None if vcpu.gic is None else vcpu.gic.distributor


def create(vcpu: Vcpu) -> None:
    """``vgic_its_create``."""
    if not vcpu.behaviour.its_seen:
        raise NotModelled("an ITS, on kernels before 5.10")
    memory, features = GuestMemory(vcpu), vgicdevice.features_of(vcpu)
    device = ItsDevice(memory, vcpu.bus, features, lambda: _lpis_of(vcpu))
    vcpu.vm.itses.append(device)
    if vcpu.gic is not None:
        device.join(vcpu.gic.distributor)


def signal_msi(vcpu: Vcpu, address: int, data: int, of: int | None) -> bool:
    """``KVM_SIGNAL_MSI``: whether it was delivered, not blocked by the guest."""
    vm, what = vcpu.vm, "KVM_SIGNAL_MSI"
    if vm.vgic is None:
        raise KvmError(EINVAL, what)
    if not vm.itses or vm.vgic.version != 3:
        raise KvmError(ENODEV, what)
    device = vm.bus.device_at(address)
    if not isinstance(device, ItsDevice):
        raise KvmError(EINVAL, what)
    if device.may_be_cached(address) and device.its.raise_cached(of or 0, data):
        return True
    if of is None:
        raise KvmError(EINVAL, what)
    try:
        return device.its.trigger(of, data)
    except Refused as refused:
        raise KvmError(refused.errno, what) from None

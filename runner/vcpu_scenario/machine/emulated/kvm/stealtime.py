"""Stolen time (Arm DEN 0057): ``KVM_ARM_VCPU_PVTIME_CTRL``, the record and the guest's calls."""

from __future__ import annotations

from errno import EEXIST, EFAULT, EINVAL, ENXIO
from typing import Final

from vcpu_scenario.kvm.vcpuattrs import KVM_ARM_VCPU_PVTIME_IPA
from vcpu_scenario.machine.emulated.kvm.guestmemory import GuestMemory
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import KvmError, Lacking

PV_TIME_FEATURES: Final = 0xC500_0020
PV_TIME_ST: Final = 0xC500_0021

_WHAT: Final = "KVM_ARM_VCPU_PVTIME_IPA"
_NOWHERE: Final = (1 << 64) - 1
"""``INVALID_GPA``."""
_NOT_SUPPORTED: Final = (1 << 64) - 1
_RECORD: Final = bytes(16)
"""``struct pvclock_vcpu_stolen_time``: revision, attributes and time, all of them 0."""
_TIME_AT: Final = 8


def set_ipa(vcpu: Vcpu, addr: int) -> None:
    """``KVM_SET_DEVICE_ATTR`` where a VMM has looked whether there is such an attribute."""
    if not vcpu.behaviour.smccc_pv_time:
        raise Lacking(ENXIO, _WHAT)
    try:
        set_attribute(vcpu, KVM_ARM_VCPU_PVTIME_IPA, addr)
    except Refused as refusal:
        raise KvmError(refusal.errno, _WHAT) from None


def set_attribute(vcpu: Vcpu, attr: int, addr: int | None) -> None:
    """``kvm_arm_pvtime_set_attr``."""
    known = get_attribute(vcpu, attr)
    if addr is None:
        raise Refused(EFAULT)
    if addr % 64:
        raise Refused(EINVAL)
    if known != _NOWHERE:
        raise Refused(EEXIST)
    host = vcpu.cpu.stage2.slot_at(addr)
    if host is None or host.slot.readonly:
        raise Refused(EINVAL)
    vcpu.steal_time = addr


def get_attribute(vcpu: Vcpu, attr: int) -> int:
    """``kvm_arm_pvtime_get_attr``."""
    if attr != KVM_ARM_VCPU_PVTIME_IPA or not vcpu.behaviour.smccc_pv_time:
        raise Refused(ENXIO)
    return _NOWHERE if vcpu.steal_time is None else vcpu.steal_time


def features(vcpu: Vcpu) -> int:
    """PV_TIME_FEATURES (``kvm_hypercall_pv_features``)."""
    known = vcpu.cpu.x(1) & 0xFFFF_FFFF in (PV_TIME_FEATURES, PV_TIME_ST)
    return 0 if known and vcpu.steal_time is not None else _NOT_SUPPORTED


def record(vcpu: Vcpu) -> int:
    """PV_TIME_ST (``kvm_init_stolen_time``): begins the record and says where it is."""
    if vcpu.steal_time is None:
        return _NOT_SUPPORTED
    GuestMemory(vcpu).write(vcpu.steal_time, _RECORD)
    return vcpu.steal_time


def update(vcpu: Vcpu) -> None:
    """``kvm_update_stolen_time``, where the vCPU is loaded. Nobody takes time from this vCPU."""
    if vcpu.steal_time is not None:
        GuestMemory(vcpu).write(vcpu.steal_time + _TIME_AT, bytes(8))

"""``KVM_ARM_VM_SMCCC_FILTER``: calls that userspace answers, or that nobody does."""

from __future__ import annotations

from errno import EBUSY, EEXIST, EINVAL
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.ioctls.vm import SetSmcccFilter
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError, Lacking

_WHAT: Final = "KVM_ARM_VM_SMCCC_FILTER"
_ARCH: Final = ((0x8000_0000, 0x8000_FFFF), (0xC000_0000, 0xC000_FFFF))
"""The Arm Architecture Calls, which no filter reaches (``init_smccc_filter``)."""


def set_filter(vcpu: Vcpu, asked: SetSmcccFilter) -> None:
    """``kvm_smccc_set_filter``."""
    if not vcpu.behaviour.smccc_filter:
        raise Lacking(EINVAL, _WHAT)
    first, last = asked.base, asked.base + asked.count - 1 & 0xFFFF_FFFF  # as a u32 of C
    nothing = not asked.count and (asked.base or vcpu.behaviour.smccc_filter_of_nothing_refused)
    if asked.pad or nothing or last < first or asked.action not in _ACTIONS:
        raise KvmError(EINVAL, _WHAT)
    if vcpu.vm.has_run:
        raise KvmError(EBUSY, _WHAT)
    taken = (*_ARCH, *((low, high) for low, high, _ in vcpu.vm.smccc_filter))
    if any(low <= last and first <= high for low, high in taken):
        raise KvmError(EEXIST, _WHAT)
    vcpu.vm.smccc_filter.append((first, last, asked.action))


_ACTIONS: Final = (
    abi.KVM_SMCCC_FILTER_HANDLE,
    abi.KVM_SMCCC_FILTER_DENY,
    abi.KVM_SMCCC_FILTER_FWD_TO_USER,
)


def action(vcpu: Vcpu, function: int) -> int:
    """``kvm_smccc_filter_get_action``."""
    for first, last, what in vcpu.vm.smccc_filter:
        if first <= function <= last:
            return what
    return abi.KVM_SMCCC_FILTER_HANDLE


def forward(vcpu: Vcpu, function: int) -> int:
    """``kvm_prepare_hypercall_exit``: the call is userspace's, and x0 to x3 are its answer."""
    run = vcpu.run
    run.exit_reason = abi.KVM_EXIT_HYPERCALL
    run.hypercall.nr = function
    smc = esr.class_of(vcpu.cpu.hsr) == esr.EC_SMC64
    run.hypercall.flags = abi.KVM_HYPERCALL_EXIT_SMC if smc else 0
    return 0

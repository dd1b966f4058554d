"""``KVM_SET_VCPU_EVENTS``: aborts and SErrors that userspace gives to the guest."""

from __future__ import annotations

from errno import EINVAL, ENOEXEC
from typing import Final

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu.regfile import PSR_A
from vcpu_scenario.machine.emulated.kvm.inject import (
    adjust_pc,
    inject_abort,
    inject_unmasked_serror,
    pend_serror,
)
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError

_ISS: Final = 0x1FF_FFFF


def set_vcpu_events(vcpu: Vcpu, events: abi.kvm_vcpu_events) -> None:
    """Raises EINVAL where the kernel has no external aborts, and for a syndrome on a CPU that lacks
    the RAS extension, or one that is more than ESR_ELx.ISS."""
    behaviour = vcpu.behaviour
    check_there(vcpu, "KVM_SET_VCPU_EVENTS")
    syndrome = events.serror_esr if events.serror_has_esr else None
    if events.serror_pending and syndrome is not None and not _may_be(vcpu, syndrome):
        raise KvmError(EINVAL, "KVM_SET_VCPU_EVENTS")
    if events.ext_dabt_pending and not behaviour.external_abort_from_user:
        raise KvmError(EINVAL, "KVM_SET_VCPU_EVENTS")
    if events.ext_dabt_pending:
        inject_abort(vcpu, far=vcpu.fault_far, fetch=False)
    if behaviour.user_aborts_committed_at_once:
        _commit(vcpu)
    if not events.serror_pending:
        return
    if behaviour.user_aborts_committed_at_once and not vcpu.cpu.pstate & PSR_A:
        inject_unmasked_serror(vcpu, syndrome)
        _commit(vcpu)
    else:
        pend_serror(vcpu, syndrome)


def check_there(vcpu: Vcpu, ioctl: str) -> None:
    """Raises EINVAL where the kernel has no such ioctl, ENOEXEC where it wants
    ``KVM_ARM_VCPU_INIT`` first."""
    if not vcpu.behaviour.vcpu_events:
        raise KvmError(EINVAL, ioctl)
    if vcpu.features is None and vcpu.behaviour.vcpu_events_need_init:
        raise KvmError(ENOEXEC, ioctl)


def _may_be(vcpu: Vcpu, syndrome: int) -> bool:
    return vcpu.model.ras and not syndrome & ~_ISS


def get_vcpu_events(vcpu: Vcpu) -> abi.kvm_vcpu_events | None:
    """None where the kernel has no such ioctl. An abort is never pending there: it is the guest's
    as soon as it was asked for."""
    if not vcpu.behaviour.vcpu_events:
        return None
    iss, ras = vcpu.cpu.vserror, vcpu.model.ras
    return abi.kvm_vcpu_events(
        serror_pending=iss is not None,
        serror_has_esr=ras,
        serror_esr=iss if ras and iss is not None else 0,
    )


def _commit(vcpu: Vcpu) -> None:
    """``commit_pending_events``. An access in flight is given up, so that its completion does
    not move pc past the handler's first instruction."""
    if vcpu.pending_exception is not None:
        vcpu.mmio_needed = False
        adjust_pc(vcpu)

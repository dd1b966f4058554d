"""``KVM_SET_MP_STATE``: a vCPU that is to run, is stopped, or is suspended until an interrupt."""

from __future__ import annotations

from errno import EINVAL

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.systemevent import report
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.wait import block, has_interrupt
from vcpu_scenario.machine.errors import KvmError


def set_mp_state(vcpu: Vcpu, state: int) -> None:
    known = state in (abi.KVM_MP_STATE_RUNNABLE, abi.KVM_MP_STATE_STOPPED)
    if not known and not (state == abi.KVM_MP_STATE_SUSPENDED and vcpu.behaviour.vcpu_suspends):
        raise KvmError(EINVAL, f"KVM_SET_MP_STATE {state}")
    vcpu.mp_state = state


def wait_to_run(vcpu: Vcpu) -> bool:
    """Whether a vCPU that is not runnable leaves its wait with an exit to userspace. It stays as
    it is until userspace says otherwise, and nothing but a signal ends the wait of a stopped
    one."""
    if vcpu.mp_state != abi.KVM_MP_STATE_SUSPENDED:
        vcpu.signal_pending = True
        return False
    block(vcpu)
    if not has_interrupt(vcpu):
        return False
    report(vcpu, abi.KVM_SYSTEM_EVENT_WAKEUP)
    return True

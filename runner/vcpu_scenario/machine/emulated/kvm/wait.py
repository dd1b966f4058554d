"""Waiting for an interrupt."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.kvm import timerlines
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def block(vcpu: Vcpu) -> None:
    """``kvm_vcpu_block``. Nothing else runs beside this vCPU, so that but for a timer what is not
    pending when it blocks never comes, and the time limit's signal ends the wait."""
    if not (has_interrupt(vcpu) or (vcpu.cpu.timers.in_use and _timer_ends(vcpu))):
        vcpu.signal_pending = True


def _timer_ends(vcpu: Vcpu) -> bool:
    """Whether a timer ends the wait: by itself, or by an interrupt that the vGIC has for it."""
    itself = vcpu.behaviour.wfi_ended_by_timer or vcpu.gic is None
    if itself and timerlines.is_up(vcpu):
        return True
    while timerlines.wait_for_next(vcpu):
        if itself or has_interrupt(vcpu):
            return True
    return False


def has_interrupt(vcpu: Vcpu) -> bool:
    """Whether an interrupt is there for which a WFI ends."""
    if vcpu.cpu.timers.in_use:
        timerlines.update(vcpu)
    if vcpu.gic is None:
        return vcpu.cpu.is_raised
    return bool(vcpu.gic.pending_for_vcpu())

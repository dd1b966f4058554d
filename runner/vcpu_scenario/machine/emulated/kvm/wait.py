"""Waiting for an interrupt."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.kvm import timerlines
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def block(vcpu: Vcpu) -> None:
    """``kvm_vcpu_block``. Nothing else runs beside this vCPU, so that but for a timer what is not
    pending when it blocks never comes, and the time limit's signal ends the wait."""
    timers = vcpu.cpu.timers
    if _ends(vcpu):
        return
    while timers.in_use and timerlines.wait_for_next(vcpu):
        if _ends(vcpu):
            return
        timerlines.update(vcpu)
    vcpu.signal_pending = True


def _ends(vcpu: Vcpu) -> bool:
    """``kvm_vcpu_check_block``, but for signals."""
    return has_interrupt(vcpu) or (
        vcpu.behaviour.wfi_ended_by_timer and timerlines.is_up(vcpu.cpu.timers)
    )


def has_interrupt(vcpu: Vcpu) -> bool:
    """Whether an interrupt is there for which a WFI ends (``kvm_arch_vcpu_runnable``)."""
    timers = vcpu.cpu.timers
    if vcpu.gic is None:
        told = not vcpu.behaviour.wfi_ended_by_untold_timer or timerlines.as_told(timers)
        return vcpu.cpu.is_raised or not told
    if timers.in_use:
        timerlines.update(vcpu)
    return bool(vcpu.gic.pending_for_vcpu())

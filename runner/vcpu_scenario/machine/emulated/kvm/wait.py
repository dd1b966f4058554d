"""Waiting for an interrupt."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.kvm import timerlines
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def block(vcpu: Vcpu) -> None:
    """``kvm_vcpu_block``. Nothing else runs beside this vCPU, so that but for a timer what is not
    pending when it blocks never comes, and the time limit's signal ends the wait."""
    if has_interrupt(vcpu) or (vcpu.cpu.timers.in_use and timerlines.wait(vcpu)):
        return
    vcpu.signal_pending = True


def has_interrupt(vcpu: Vcpu) -> bool:
    """Whether an interrupt is there for which a WFI ends."""
    if vcpu.cpu.timers.in_use:
        timerlines.update(vcpu)
    if vcpu.gic is None:
        return bool(vcpu.cpu.interrupt_lines)
    return bool(vcpu.gic.pending_for_vcpu())

"""Waiting for an interrupt."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def block(vcpu: Vcpu) -> None:
    """``kvm_vcpu_block``. Nothing else runs beside this vCPU, so what is not pending when it
    blocks never comes, and the time limit's signal ends the wait."""
    if not has_interrupt(vcpu):
        vcpu.signal_pending = True


def has_interrupt(vcpu: Vcpu) -> bool:
    """Whether an interrupt is there for which a WFI ends."""
    if vcpu.gic is None:
        return bool(vcpu.cpu.interrupt_lines)
    return bool(vcpu.gic.pending_for_vcpu())

"""Waiting for an interrupt."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def block(vcpu: Vcpu) -> None:
    """``kvm_vcpu_block``. Nothing else runs beside this vCPU, so what is not pending when it
    blocks never comes, and the time limit's signal ends the wait."""
    pending = vcpu.cpu.interrupt_lines if vcpu.gic is None else vcpu.gic.pending_for_vcpu()
    if not pending:
        vcpu.signal_pending = True

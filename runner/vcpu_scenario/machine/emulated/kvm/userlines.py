"""What a VMM that has the interrupt controller is told of KVM's own devices."""

from __future__ import annotations

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm import timerlines
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def update_run(vcpu: Vcpu) -> None:
    """``kvm_timer_update_run`` and ``kvm_pmu_update_run``: ``device_irq_level`` as ``KVM_RUN``
    returns."""
    timers, pmu = vcpu.cpu.timers, vcpu.pmu
    if timers.in_use:
        timerlines.update(vcpu)
    lines = (
        (timers.virtual.line, abi.KVM_ARM_DEV_EL1_VTIMER),
        (timers.physical.line, abi.KVM_ARM_DEV_EL1_PTIMER),
        (pmu is not None and pmu.line, abi.KVM_ARM_DEV_PMU),
    )
    vcpu.run.s.regs.device_irq_level = sum(bit for line, bit in lines if line)

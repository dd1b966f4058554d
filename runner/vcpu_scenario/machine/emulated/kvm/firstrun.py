"""The first ``KVM_RUN`` of a vCPU, and a VM that it was the end of."""

from __future__ import annotations

from errno import ENOEXEC

from vcpu_scenario.machine.emulated.kvm import pmuregs, timerattrs, vgicdevice
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def first_run(vcpu: Vcpu) -> int:
    """``kvm_arch_vcpu_run_pid_change``: 0, or the negative errno."""
    if vcpu.features is None:
        return -ENOEXEC
    if (error := vgicdevice.first_run(vcpu)) == 0:
        if (error := timerattrs.first_run(vcpu) or pmuregs.first_run(vcpu)) == 0:
            if vcpu.behaviour.affinities_indexed and not vcpu.vm.has_run:
                vcpu.vm.index_affinities()
            vcpu.has_run = vcpu.vm.has_run = vcpu.timers_enabled = True
    elif vcpu.behaviour.vm_dead_without_vgic:
        vcpu.vm.dead = True
    elif vcpu.behaviour.first_run_tried_once:
        vcpu.has_run = vcpu.vm.has_run = True
    return error

"""``KVM_ARM_VCPU_TIMER_CTRL``: the interrupts of the timers, after ``arch_timer.c``."""

from __future__ import annotations

from errno import EBUSY, EFAULT, EINVAL, ENXIO
from typing import Final

from vcpu_scenario.kvm import vcpuattrs as attrs
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, NR_SGIS
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import NotModelled

_OF_EL1: Final = (attrs.KVM_ARM_VCPU_TIMER_IRQ_VTIMER, attrs.KVM_ARM_VCPU_TIMER_IRQ_PTIMER)
_OF_EL2: Final = (attrs.KVM_ARM_VCPU_TIMER_IRQ_HVTIMER, attrs.KVM_ARM_VCPU_TIMER_IRQ_HPTIMER)


def set_attribute(vcpu: Vcpu, attr: int, value: int | None) -> None:
    """``kvm_arm_timer_set_attr``."""
    if vcpu.vm.vgic is None:
        raise Refused(EINVAL)
    if value is None:
        raise Refused(EFAULT)
    ppi = value & 0xFFFF_FFFF
    if not NR_SGIS <= ppi < NR_PRIVATE_IRQS:
        raise Refused(EINVAL)
    if vcpu.has_run:
        raise Refused(EBUSY)
    if vcpu.vm.has_run:
        raise NotModelled("the interrupt of a timer, set for a vCPU beside one that has run")
    get_attribute(vcpu, attr)
    vcpu.vm.timer_ppis[attr] = ppi


def get_attribute(vcpu: Vcpu, attr: int) -> int:
    """``kvm_arm_timer_get_attr``. A guest without EL2 has no use for what is of EL2."""
    if attr not in (_OF_EL1 + _OF_EL2 if vcpu.behaviour.hyp_timers_known else _OF_EL1):
        raise Refused(ENXIO)
    return vcpu.vm.timer_ppis[attr]


def first_run(vcpu: Vcpu) -> int:
    """``timer_irqs_are_valid``: each timer has an interrupt of its own, that the PMU does not have
    either. 0, or the negative errno of ``KVM_RUN``."""
    taken: list[int | None] = [*vcpu.vm.timer_ppis[:2]]
    if vcpu.pmu is not None and vcpu.pmu.created:
        taken.append(vcpu.pmu.irq)
    return 0 if vcpu.vm.vgic is None or len({*taken}) == len(taken) else -EINVAL

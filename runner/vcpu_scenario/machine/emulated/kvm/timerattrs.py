"""``KVM_ARM_VCPU_TIMER_CTRL``: the interrupts of the timers, after ``arch_timer.c``."""

from __future__ import annotations

from errno import EBUSY, EFAULT, EINVAL, ENXIO
from typing import Final

from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.kvm import vcpuattrs as attrs
from vcpu_scenario.kvm.attributes import said
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, NR_SGIS, TIMER_PPIS
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import NotModelled

_INTERRUPTS: Final = dict(
    zip(
        (attrs.KVM_ARM_VCPU_TIMER_IRQ_VTIMER, attrs.KVM_ARM_VCPU_TIMER_IRQ_PTIMER),
        TIMER_PPIS,
        strict=True,
    )
)
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
    if ppi != get_attribute(vcpu, attr):
        which = DeviceAttr("vcpu", attrs.KVM_ARM_VCPU_TIMER_CTRL, attr)
        raise NotModelled(f"PPI {ppi} for {said(which)}")


def get_attribute(_vcpu: Vcpu, attr: int) -> int:
    """``kvm_arm_timer_get_attr``."""
    if attr in _OF_EL2:
        raise NotModelled("the interrupts of the timers of EL2")
    if attr not in _INTERRUPTS:
        raise Refused(ENXIO)
    return _INTERRUPTS[attr]

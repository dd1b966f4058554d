"""``KVM_ARM_VCPU_PMU_V3_CTRL``: what a VMM sets of a vCPU's PMU, after ``pmu-emul.c``."""

from __future__ import annotations

from errno import EBUSY, EEXIST, EFAULT, EINVAL, ENODEV, ENXIO
from typing import Final

from vcpu_scenario.kvm import vcpuattrs as attrs
from vcpu_scenario.kvm.abi import FIRST_SPI
from vcpu_scenario.machine.emulated.kvm.pmu import EVENT, Pmu
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import NotModelled

_INT: Final = 0xFFFF_FFFF
_FIRST_PPI: Final = 16
_PERF_TYPES: Final = 6
"""Types of perf events that are the kernel's own: no PMU has one of them."""


def get_attribute(vcpu: Vcpu, attr: int) -> int:
    """``kvm_arm_pmu_v3_get_attr``."""
    if attr == attrs.KVM_ARM_VCPU_PMU_V3_IRQ:
        if vcpu.vm.vgic is None:
            raise Refused(EINVAL)
        if vcpu.pmu is None:
            raise Refused(ENODEV)
        if vcpu.pmu.irq is not None:
            return vcpu.pmu.irq
    raise Refused(ENXIO)


def _known(vcpu: Vcpu) -> set[int]:
    known = {
        attrs.KVM_ARM_VCPU_PMU_V3_IRQ,
        attrs.KVM_ARM_VCPU_PMU_V3_INIT,
        attrs.KVM_ARM_VCPU_PMU_V3_FILTER,
    }
    if vcpu.behaviour.pmu_chosen:
        known.add(attrs.KVM_ARM_VCPU_PMU_V3_SET_PMU)
    if vcpu.behaviour.pmu_counters_chosen:
        known.add(attrs.KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS)
    return known


def has_attribute(vcpu: Vcpu, attr: int) -> None:
    """``kvm_arm_pmu_v3_has_attr``."""
    if vcpu.pmu is None or attr not in _known(vcpu):
        raise Refused(ENXIO)


def set_attribute(vcpu: Vcpu, attr: int, value: int | None) -> None:
    """``kvm_arm_pmu_v3_set_attr``."""
    pmu = vcpu.pmu
    if pmu is None:
        raise Refused(ENODEV)
    if pmu.created:
        raise Refused(EBUSY)
    if attr not in _known(vcpu):
        raise Refused(ENXIO)
    if attr == attrs.KVM_ARM_VCPU_PMU_V3_INIT:
        _init(vcpu, pmu)
    elif attr == attrs.KVM_ARM_VCPU_PMU_V3_IRQ and vcpu.vm.vgic is None:
        raise Refused(EINVAL)
    elif attr == attrs.KVM_ARM_VCPU_PMU_V3_FILTER and vcpu.vm.has_run:
        raise Refused(EBUSY)
    elif value is None:
        raise Refused(EFAULT)
    else:
        _SET[attr](vcpu, pmu, value)


def _set_irq(vcpu: Vcpu, pmu: Pmu, value: int) -> None:
    irq, device = value & _INT, vcpu.vm.vgic
    assert device is not None
    if not _FIRST_PPI <= irq < 1020:
        raise Refused(EINVAL)
    others = [one.pmu.irq for one in vcpu.vm.vcpus if one.pmu is not None and one.pmu.irq]
    private = irq < FIRST_SPI
    if any((other != irq) is private for other in others):
        raise Refused(EINVAL)
    if pmu.irq is not None:
        raise Refused(EBUSY)
    pmu.irq = irq


def _init(vcpu: Vcpu, pmu: Pmu) -> None:
    """``kvm_arm_pmu_v3_init``."""
    if vcpu.vm.vgic is not None:
        if vcpu.gic is None:
            raise Refused(ENODEV)
        if pmu.irq is None:
            raise Refused(ENXIO)
        if pmu.irq >= FIRST_SPI:
            raise NotModelled(f"a PMU with an SPI for its interrupt ({pmu.irq})")
        line = vcpu.gic.irqs[pmu.irq]
        if line.owned:
            raise Refused(EEXIST)
        line.owned = True
    pmu.created = True


def _set_filter(vcpu: Vcpu, _pmu: Pmu, value: int) -> None:
    asked = attrs.EventFilter.of(value)
    if asked.action > attrs.KVM_PMU_EVENT_DENY or asked.base_event + asked.nevents > EVENT + 1:
        raise Refused(EINVAL)
    vm = vcpu.vm
    events = set(range(asked.base_event, asked.base_event + asked.nevents))
    allow = asked.action == attrs.KVM_PMU_EVENT_ALLOW
    if not vm.pmu_filtered:
        vm.pmu_filtered = True
        vm.pmu_denied = set(range(EVENT + 1)) if allow else set()
    vm.pmu_denied = vm.pmu_denied - events if allow else vm.pmu_denied | events


def _set_pmu(vcpu: Vcpu, _pmu: Pmu, value: int) -> None:
    """No two hosts have the same types of PMUs."""
    if (value & _INT) >> 31 or value & _INT < _PERF_TYPES:
        raise Refused(ENXIO)
    raise NotModelled(f"the PMU of perf's type {value}")


def _set_counters(vcpu: Vcpu, _pmu: Pmu, value: int) -> None:
    if value & _INT > vcpu.model.pmu_counters:
        raise Refused(EINVAL)
    vcpu.vm.pmu_counters = value & _INT


_SET: Final = {
    attrs.KVM_ARM_VCPU_PMU_V3_IRQ: _set_irq,
    attrs.KVM_ARM_VCPU_PMU_V3_FILTER: _set_filter,
    attrs.KVM_ARM_VCPU_PMU_V3_SET_PMU: _set_pmu,
    attrs.KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS: _set_counters,
}

"""The device attributes of a vCPU (``Documentation/virt/kvm/devices/vcpu.rst``). Standard library
only."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from vcpu_scenario.kvm.deviceattrs import Group, by_name

KVM_ARM_VCPU_PMU_V3_CTRL: Final = 0
KVM_ARM_VCPU_PMU_V3_IRQ: Final = 0
KVM_ARM_VCPU_PMU_V3_INIT: Final = 1
KVM_ARM_VCPU_PMU_V3_FILTER: Final = 2
KVM_ARM_VCPU_PMU_V3_SET_PMU: Final = 3
KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS: Final = 4

KVM_ARM_VCPU_TIMER_CTRL: Final = 1
KVM_ARM_VCPU_TIMER_IRQ_VTIMER: Final = 0
KVM_ARM_VCPU_TIMER_IRQ_PTIMER: Final = 1
KVM_ARM_VCPU_TIMER_IRQ_HVTIMER: Final = 2
KVM_ARM_VCPU_TIMER_IRQ_HPTIMER: Final = 3

KVM_ARM_VCPU_PVTIME_CTRL: Final = 2
KVM_ARM_VCPU_PVTIME_IPA: Final = 0

KVM_PMU_EVENT_ALLOW: Final = 0
KVM_PMU_EVENT_DENY: Final = 1

GROUPS: Final = by_name(
    Group(
        "pmu_v3",
        KVM_ARM_VCPU_PMU_V3_CTRL,
        8,
        {
            "irq": KVM_ARM_VCPU_PMU_V3_IRQ,
            "init": KVM_ARM_VCPU_PMU_V3_INIT,
            "filter": KVM_ARM_VCPU_PMU_V3_FILTER,
            "set_pmu": KVM_ARM_VCPU_PMU_V3_SET_PMU,
            "set_nr_counters": KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS,
        },
    ),
    Group(
        "timer",
        KVM_ARM_VCPU_TIMER_CTRL,
        8,
        {
            "irq_vtimer": KVM_ARM_VCPU_TIMER_IRQ_VTIMER,
            "irq_ptimer": KVM_ARM_VCPU_TIMER_IRQ_PTIMER,
            "irq_hvtimer": KVM_ARM_VCPU_TIMER_IRQ_HVTIMER,
            "irq_hptimer": KVM_ARM_VCPU_TIMER_IRQ_HPTIMER,
        },
    ),
    Group("pvtime", KVM_ARM_VCPU_PVTIME_CTRL, 8, {"ipa": KVM_ARM_VCPU_PVTIME_IPA}),
)
"""By name, ``KVM_ARM_VCPU_*_CTRL`` in lower case. A value is handed over in 8 bytes, of which the
kernel takes as many as it needs."""


class EventFilter(Struct, frozen=True):
    """``struct kvm_pmu_event_filter``, the value of ``KVM_ARM_VCPU_PMU_V3_FILTER``."""

    base_event: int
    nevents: int
    action: int

    @property
    def value(self) -> int:
        return self.action << 32 | self.nevents << 16 | self.base_event

    @staticmethod
    def of(value: int) -> EventFilter:
        return EventFilter(value & 0xFFFF, value >> 16 & 0xFFFF, value >> 32 & 0xFF)

"""The device attributes of a vCPU, by their groups (``kvm_arm_vcpu_arch_set_attr``)."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENXIO
from typing import Final, NamedTuple

from vcpu_scenario.kvm import vcpuattrs as attrs
from vcpu_scenario.machine.emulated.kvm import pmuattrs, stealtime, timerattrs
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic.mmio import Refused


class _Group(NamedTuple):
    """What is done with an attribute of one group."""

    set: Callable[[Vcpu, int, int | None], None]
    get: Callable[[Vcpu, int], int]
    has: Callable[[Vcpu, int], object]


_GROUPS: Final = {
    attrs.KVM_ARM_VCPU_PMU_V3_CTRL: _Group(
        pmuattrs.set_attribute, pmuattrs.get_attribute, pmuattrs.has_attribute
    ),
    attrs.KVM_ARM_VCPU_TIMER_CTRL: _Group(
        timerattrs.set_attribute, timerattrs.get_attribute, timerattrs.get_attribute
    ),
    attrs.KVM_ARM_VCPU_PVTIME_CTRL: _Group(
        stealtime.set_attribute, stealtime.get_attribute, stealtime.get_attribute
    ),
}


class VcpuAttributes:
    """Those of one vCPU; each method may raise :class:`Refused`."""

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu: Final = vcpu

    def set(self, group: int, attr: int, value: int | None) -> None:
        _group(group).set(self._vcpu, attr, value)

    def get(self, group: int, attr: int, given: int) -> int:
        return _group(group).get(self._vcpu, attr)

    def has(self, group: int, attr: int) -> None:
        _group(group).has(self._vcpu, attr)


def _group(number: int) -> _Group:
    found = _GROUPS.get(number)
    if found is None:
        raise Refused(ENXIO)
    return found

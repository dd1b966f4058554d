"""Every attribute that has a name: the groups of what has some. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.ioctls.attributes import DeviceAttr, Holder
from vcpu_scenario.kvm import vcpuattrs, vgicattrs
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT, VCPUS_MOST, Group, Groups

GROUPS: Final[Mapping[Holder, Groups]] = {
    "vgic": vgicattrs.GROUPS,
    "vcpu": vcpuattrs.GROUPS,
    "its": vgicattrs.ITS_GROUPS,
}
_LOW: Final = (1 << VCPU_SHIFT) - 1


def group_of(which: DeviceAttr) -> Group | None:
    groups = GROUPS[which.of].values()
    return next((group for group in groups if group.number == which.group), None)


def size_of(which: DeviceAttr) -> int:
    """The bytes of its value that a VMM makes room for."""
    group = group_of(which)
    return 8 if group is None else group.size or 4


def parts_of(which: DeviceAttr) -> tuple[int, int]:
    """The vCPU that an attribute names, and what is left of it."""
    group = group_of(which)
    vcpu, low = which.attr >> VCPU_SHIFT, which.attr & _LOW
    named = group is not None and group.of_vcpu and vcpu < VCPUS_MOST
    return (vcpu, low) if named else (0, which.attr)


def said(which: DeviceAttr) -> str:
    """An attribute as reports say it: ``vgic dist_regs GICD_CTLR``, ``its 1 ctrl init``."""
    holder = f"{which.of} {which.number}" if which.number else which.of
    group, (vcpu, low) = group_of(which), parts_of(which)
    if group is None:
        return f"{holder} group {which.group} attr {which.attr:#x}"
    if not group.attributes and not group.of_vcpu and not low:
        return f"{holder} {group.name}"
    of_vcpu = f" of vCPU {vcpu}" if vcpu else ""
    return f"{holder} {group.name} {group.word_of(low) or f'{low:#x}'}{of_vcpu}"

"""Device attributes (``KVM_SET_DEVICE_ATTR``) by their names. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

VCPU_SHIFT: Final = 32
"""Bits 63:32 of a register's attribute say which vCPU's it is: by Aff3 to Aff0, on a GICv2 by its
number."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of attributes. ``size`` is the bytes of a value, 0 where there is none."""

    name: str
    number: int
    size: int
    attributes: Mapping[str, int] = field(default_factory=dict)
    of_vcpu: bool = False
    """Whether an attribute says which vCPU's it is."""

    def word_of(self, attribute: int) -> str | None:
        """What an attribute of the group is called, if it has a name."""
        return next((name for name, at in self.attributes.items() if at == attribute), None)


Groups: TypeAlias = Mapping[str, Group]
"""The groups of a device by their names."""


def group_of(groups: Groups, number: int) -> Group | None:
    return next((group for group in groups.values() if group.number == number), None)


def said(groups: Groups, number: int, attribute: int) -> str:
    """An attribute as reports say it: ``dist_regs GICD_CTLR``."""
    group = group_of(groups, number)
    if group is None:
        return f"group {number} attr {attribute:#x}"
    vcpu, low = (
        (attribute >> VCPU_SHIFT, attribute & 0xFFFF_FFFF) if group.of_vcpu else (0, attribute)
    )
    word = group.word_of(low) or f"{low:#x}"
    if not group.attributes and not group.of_vcpu and not low:
        return group.name
    return f"{group.name} {word}" + (f" of vCPU {vcpu}" if vcpu else "")

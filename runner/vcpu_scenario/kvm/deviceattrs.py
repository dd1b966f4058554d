"""Device attributes (``KVM_SET_DEVICE_ATTR``) by their names. Standard library and records only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct, field

VCPU_SHIFT: Final = 32
"""Bits 63:32 of a register's attribute say which vCPU's it is: by Aff3 to Aff0, on a GICv2 by its
number."""
VCPUS_MOST: Final = 16
"""The vCPUs whose number is their affinity."""


class Group(Struct, frozen=True):
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


def by_name(*groups: Group) -> Groups:
    return {group.name: group for group in groups}

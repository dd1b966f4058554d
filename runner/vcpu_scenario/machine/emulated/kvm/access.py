"""How a VMM reads and writes one register."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL
from typing import TypeAlias

from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu

Read: TypeAlias = Callable[[Vcpu], int]
Write: TypeAlias = Callable[[Vcpu, int], None]
"""Raises :class:`Refused`."""
Access: TypeAlias = tuple[Read, Write]


def fixed(read: Read) -> Access:
    """A register that takes nothing but what it holds."""

    def write(vcpu: Vcpu, value: int) -> None:
        if value != read(vcpu):
            raise Refused(EINVAL)

    return read, write

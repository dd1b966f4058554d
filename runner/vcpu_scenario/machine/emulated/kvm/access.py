"""How a VMM reads and writes one register."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL
from typing import TypeAlias

from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
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


def system(encoding: Encoding) -> Access:
    """A register of the CPU's own."""
    return (
        lambda vcpu: vcpu.cpu.read_sys(encoding),
        lambda vcpu, value: vcpu.cpu.write_sys(encoding, value),
    )


def kept(encoding: Encoding, reset: int) -> Access:
    """A register that KVM keeps, and whose value has no effect on a guest of this machine."""
    return kept_of(encoding, lambda _cpu: reset)


def kept_of(encoding: Encoding, reset: Callable[[CpuModel], int]) -> Access:
    """The same, of a value at reset that depends on the CPU."""

    def write(vcpu: Vcpu, value: int) -> None:
        vcpu.kept[encoding] = value

    return lambda vcpu: vcpu.kept.get(encoding, reset(vcpu.model)), write

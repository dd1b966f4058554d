"""What the CPU has of an interrupt controller: lines, system registers and the GICV frame.

KVM's vGIC fills these; the hardware asks no more of it.
"""

from __future__ import annotations

from typing import Protocol

from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu.cpuif import CpuInterface
from vcpu_scenario.machine.emulated.cpu.icv import Value


class GicPort(Protocol):
    """The virtual CPU interface, as the CPU uses it while the guest runs."""

    @property
    def cpuif(self) -> CpuInterface: ...

    def virq(self) -> bool:
        """Whether the virtual IRQ line is asserted now."""

    def vfiq(self) -> bool:
        """Whether the virtual FIQ line is asserted now."""

    def traps(self, encoding: Encoding, *, is_read: bool = False) -> bool:
        """Whether an MSR or MRS of this register goes to EL2."""

    def icc_read(self, encoding: Encoding) -> Value:
        """MRS at EL1 of an ``ICC_*_EL1`` register; UNDEF where there is none to read."""

    def icc_write(self, encoding: Encoding, value: int) -> bool:
        """MSR at EL1. False: undefined."""

    def maintenance(self) -> bool:
        """Whether the maintenance interrupt, a host's, is asserted now."""


class GicvPort(Protocol):
    """The GICv2 virtual CPU interface, which the guest reaches as memory."""

    def mapped(self) -> tuple[int, int]:
        """(ipa, size in bytes) of what stage 2 maps of it."""

    def gicv(self, offset: int, length: int, is_write: bool, value: int) -> int:
        """An aligned access: what it reads, 0 for a write."""

    def maintenance(self) -> bool:
        """Whether the maintenance interrupt, a host's, is asserted now."""

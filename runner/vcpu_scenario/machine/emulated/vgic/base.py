"""What the machine sees of a vGIC, whichever its version."""

from __future__ import annotations

from abc import ABC, abstractmethod

from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu.cpuif import ListRegister
from vcpu_scenario.machine.emulated.cpu.icv import UNDEF, Value
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.mmio import Frame


class Vgic(Interrupts, ABC):
    """The in-kernel interrupt controller of a VM with one vCPU.

    :meth:`flush`, :meth:`sync`, :meth:`inject` and :meth:`pending_for_vcpu` are KVM's side;
    the lines and the accesses below are the hardware's, while the guest runs.
    """

    frames: list[Frame]

    def regions(self) -> list[tuple[int, int]]:
        """(base, size) of what the kernel handles, in bytes."""
        return [(frame.base, frame.size) for frame in self.frames]

    def mmio(self, ipa: int, length: int, is_write: bool, value: int) -> int | None:
        """An access of the guest that KVM handles: what it reads (0 where it writes), None if it
        does not lie wholly inside one region. Only between :meth:`sync` and :meth:`flush`."""
        for frame in self.frames:
            if frame.base <= ipa and ipa + length <= frame.end:
                return frame.access(self, ipa - frame.base, length, is_write, value)
        return None

    @abstractmethod
    def signalled(self) -> ListRegister | None:
        """The interrupt that the CPU interface presents to the CPU now."""

    @abstractmethod
    def as_fiq(self, lr: ListRegister) -> bool:
        """Whether it is presented as an FIQ."""

    def virq(self) -> bool:
        """Whether the virtual IRQ line is asserted now."""
        if not self.cpuif.lrs:
            return False
        lr = self.signalled()
        return lr is not None and not self.as_fiq(lr)

    def vfiq(self) -> bool:
        """Whether the virtual FIQ line is asserted now."""
        if not self.cpuif.lrs:
            return False
        lr = self.signalled()
        return lr is not None and self.as_fiq(lr)

    def maintenance(self) -> bool:
        """Whether the maintenance interrupt is asserted. It is a host interrupt: the guest
        exits, KVM syncs and flushes, and enters again."""
        return self.cpuif.maintenance()

    def traps(self, encoding: Encoding, *, is_read: bool = False) -> bool:
        """Whether an MSR or MRS of this register exits to KVM rather than reach the hardware. What
        is undefined in that direction does not exit."""
        return False

    def icc_read(self, encoding: Encoding) -> Value:
        """MRS at EL1 of an ``ICC_*_EL1`` register; UNDEF where there is none to read."""
        return UNDEF

    def icc_write(self, encoding: Encoding, value: int) -> bool:
        """MSR at EL1, or KVM's emulation of one that :meth:`traps`. False: undefined."""
        return False

"""What the vCPUs of a VM share of a vGIC."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final, Generic, Protocol, TypeVar

from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, VgicIrq

_Interface = TypeVar("_Interface")


class GuestMemory(Protocol):
    """Guest memory as the kernel gets at it."""

    def read(self, ipa: int, length: int) -> bytes | None:
        """``kvm_read_guest``; None where it fails."""

    def write(self, ipa: int, data: bytes) -> bool:
        """``kvm_write_guest``."""

    def has(self, ipa: int) -> bool:
        """``kvm_is_visible_gfn``."""


class Distributor(Generic[_Interface]):
    """The SPIs, and the vCPUs that they may go to."""

    def __init__(self, nr_irqs: int, group: int, revision: int) -> None:
        self.enabled = False
        """``GICD_CTLR``: whether it forwards interrupts."""
        self.revision = revision
        """``GICD_IIDR.Revision``, which the VMM may choose."""
        self.groups_restored = False
        """Whether a GICv2's groups are the VMM's to write: it has written ``GICD_IIDR``."""
        self.memory: GuestMemory | None = None
        """What the VM's ITSs have their tables in; None where there is no ITS."""
        self.propbaser = 0
        """``GICR_PROPBASER``, one for all redistributors."""
        self.lpis: Final[dict[int, VgicIrq]] = {}
        """By INTID those that a translation leads to or that a vCPU still has."""
        self.acknowledged: Callable[[int], None] = _nobody
        """Told each SPI that the guest has ended (``kvm_notify_acked_irq``)."""
        self.interfaces: Final[list[_Interface]] = []
        """Those of the vCPUs, by their numbers."""
        self._nr_irqs = nr_irqs
        self._group = group

        self.translations: Final[dict[tuple[int, int, int], VgicIrq]] = {}
        """Those that KVM has in its cache, the last used last: where an ITS lies, a device's and an
        event's number."""

    @property
    def has_its(self) -> bool:
        """``vgic_has_its``."""
        return self.memory is not None

    def release(self, irq: VgicIrq) -> None:
        """``vgic_put_irq``: an LPI that nothing leads to and no vCPU has is gone."""
        if not irq.mapped and not irq.queued:
            self.lpis.pop(irq.intid, None)

    @cached_property
    def spis(self) -> list[VgicIrq]:
        """Not made before they are used: most VMs have no vGIC, only its CPU interface."""
        return [
            VgicIrq(intid, group=self._group, targets=0)
            for intid in range(NR_PRIVATE_IRQS, self._nr_irqs)
        ]


def _nobody(intid: int) -> None:
    pass


def affinity_of(number: int) -> int:
    """Aff2 to Aff0 of the vCPU of that number: 16 vCPUs are one cluster (``reset_mpidr``)."""
    return number >> 12 << 16 | (number >> 4 & 0xFF) << 8 | number & 0xF

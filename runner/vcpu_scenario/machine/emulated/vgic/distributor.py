"""What the vCPUs of a VM share of a vGIC."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final, Generic, TypeVar

from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, VgicIrq

_Interface = TypeVar("_Interface")


class Distributor(Generic[_Interface]):
    """The SPIs, and the vCPUs that they may go to."""

    def __init__(self, nr_irqs: int, group: int, revision: int) -> None:
        self.enabled = False
        """``GICD_CTLR``: whether it forwards interrupts."""
        self.revision = revision
        """``GICD_IIDR.Revision``, which the VMM may choose."""
        self.groups_restored = False
        """Whether a GICv2's groups are the VMM's to write: it has written ``GICD_IIDR``."""
        self.has_its = False
        """Whether the VM has an ITS, of which a guest would find much here."""
        self.acknowledged: Callable[[int], None] = _nobody
        """Told each SPI that the guest has ended (``kvm_notify_acked_irq``)."""
        self.interfaces: Final[list[_Interface]] = []
        """Those of the vCPUs, by their numbers."""
        self._nr_irqs = nr_irqs
        self._group = group

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

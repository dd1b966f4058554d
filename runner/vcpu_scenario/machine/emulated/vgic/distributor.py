"""What the vCPUs of a VM share of a vGIC."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, VgicIrq

if TYPE_CHECKING:
    from vcpu_scenario.machine.emulated.vgic.core import Interrupts


class Distributor:
    """The SPIs, and the vCPUs that they may go to."""

    def __init__(self, nr_irqs: int, group: int) -> None:
        self.enabled = False
        """``GICD_CTLR``: whether it forwards interrupts."""
        self.interfaces: Final[list[Interrupts]] = []
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


def affinity_of(number: int) -> int:
    """Aff2 to Aff0 of the vCPU of that number: 16 vCPUs are one cluster (``reset_mpidr``)."""
    return number >> 12 << 16 | (number >> 4 & 0xFF) << 8 | number & 0xF

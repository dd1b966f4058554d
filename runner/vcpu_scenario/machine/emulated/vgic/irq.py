"""The state that KVM keeps for one virtual interrupt (``struct vgic_irq``)."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.cpu.cpuif import FIRST_LPI as FIRST_LPI
from vcpu_scenario.machine.emulated.cpu.cpuif import NR_SGIS as NR_SGIS

NR_PRIVATE_IRQS = 32
VIRTUAL_TIMER_PPI = 27
TIMER_PPIS = (VIRTUAL_TIMER_PPI, 30)
"""The virtual and the physical timer's."""
HYP_TIMER_PPIS = (28, 26)
"""Those of EL2's timers."""


class VgicIrq:
    """A private interrupt of one vCPU, an SPI of them all, or an LPI."""

    __slots__ = (
        "active",
        "active_source",
        "edge",
        "enabled",
        "fell_disabled",
        "group",
        "intid",
        "line_level",
        "mapped",
        "mpidr",
        "on_lr",
        "owned",
        "pending_latch",
        "priority",
        "queued",
        "source",
        "target",
        "targets",
        "tied",
    )

    def __init__(self, intid: int, *, group: int, targets: int) -> None:
        self.intid = intid
        self.group = group
        # Only PPIs start out level-triggered: the state of an SPI is zeroed memory, and zero
        # says edge.
        self.edge = not NR_SGIS <= intid < NR_PRIVATE_IRQS
        self.enabled = intid < NR_SGIS
        self.pending_latch = False
        self.line_level = False
        self.active = False
        self.priority = 0
        self.mpidr = 0
        self.targets = targets
        self.target: int | None = 0
        """For an SPI or an LPI: the number of the vCPU that its routing leads to."""
        self.mapped = 0
        """For an LPI: how many translations of an ITS lead to it."""
        self.source = 0
        self.active_source = 0
        self.queued = False
        """Whether it is on a vCPU's list of those that are active or pending (``ap_list``)."""
        self.on_lr = False
        self.owned = False
        """Whether a device inside the kernel drives it, so that userspace cannot."""
        self.tied = False
        """Whether KVM ties it to an interrupt of the hardware (``vgic_irq_is_mapped_level``)."""
        self.fell_disabled = False
        """Whether it is tied and its line fell while it was disabled, and has not risen since."""

    @property
    def is_sgi(self) -> bool:
        return self.intid < NR_SGIS

    @property
    def pending(self) -> bool:
        return self.pending_latch or (not self.edge and self.line_level)

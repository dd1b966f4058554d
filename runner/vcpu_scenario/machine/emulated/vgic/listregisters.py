"""An interrupt as a list register holds it, and what the guest did to it there taken back.

After ``vgic_v2_populate_lr``, ``vgic_v3_populate_lr`` and their counterparts that fold.
"""

from __future__ import annotations

from msgspec import Struct

from vcpu_scenario.machine.emulated.cpu.cpuif import PRIORITY_MASK, ListRegister
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import FIRST_LPI, VgicIrq


class ListRegisters(Struct, frozen=True):
    """How one vGIC fills and folds them."""

    features: VgicFeatures
    sgis_have_sources: bool

    def of(self, irq: VgicIrq) -> ListRegister:
        """The list register of ``irq`` as it is."""
        many_sources = lr_count(irq) > 1 and not self.features.sgi_sources_together
        level = not irq.edge
        may_be_pending = (
            not irq.active or self.features.level_active_and_pending or not (level or many_sources)
        )
        lr = ListRegister(
            irq.intid,
            pending=may_be_pending and irq.pending,
            active=irq.active,
            priority=irq.priority & PRIORITY_MASK,
            group=irq.group,
            eoi=level or (irq.active and many_sources),
        )
        if self.has_source(irq):
            if irq.active and self.features.sgi_active_source:
                lr.source = irq.active_source
            if lr.pending:
                lowest = irq.source & -irq.source
                lr.source |= max(lowest.bit_length() - 1, 0)
                lr.eoi |= irq.source != lowest and not self.features.sgi_sources_together
        return lr

    def populate(self, irq: VgicIrq) -> ListRegister:
        """The same, into which what pends has gone."""
        lr = self.of(irq)
        if lr.pending:
            if irq.edge:
                irq.pending_latch = False
            if self.has_source(irq):
                irq.source &= irq.source - 1
                irq.pending_latch = bool(irq.source)
        irq.on_lr = True
        return lr

    def fold(self, lr: ListRegister, irq: VgicIrq) -> None:
        """The state of ``irq`` is what ``lr`` says."""
        irq.on_lr = False
        if irq.intid >= FIRST_LPI and self.features.lr_overflow:
            lr.active = False  # an LPI has no active state, of which KVM once knew nothing
        irq.active = lr.active
        has_source = self.has_source(irq)
        if has_source and lr.active:
            irq.active_source = lr.source
        if irq.edge:
            if lr.pending:
                irq.pending_latch = True
                if has_source:
                    irq.source |= 1 << lr.source
        elif not lr.pending and (self.features.level_active_and_pending or not lr.active):
            irq.pending_latch = False

    def has_source(self, irq: VgicIrq) -> bool:
        """Whether it is an SGI that says which vCPU sent it."""
        return self.sgis_have_sources and irq.is_sgi


def lr_count(irq: VgicIrq) -> int:
    """How many list registers ``irq`` would take."""
    return irq.source.bit_count() + irq.active if irq.source else 1


def active_first(a: VgicIrq, b: VgicIrq) -> int:
    if a.active or b.active:
        return b.active - a.active
    pending_a = a.enabled and a.pending
    pending_b = b.enabled and b.pending
    if not pending_a or not pending_b:
        return pending_b - pending_a
    return a.priority - b.priority

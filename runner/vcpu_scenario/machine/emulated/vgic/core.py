"""What both vGICs share: the interrupts, their injection, list registers filled and folded.

After ``virt/kvm/arm/vgic/vgic.c`` (before 5.8) and ``arch/arm64/kvm/vgic/vgic.c``.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import cached_property, cmp_to_key

from vcpu_scenario.machine.emulated.cpu.cpuif import CpuInterface, ListRegister
from vcpu_scenario.machine.emulated.vgic.distributor import Distributor, affinity_of
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import FIRST_LPI, NR_PRIVATE_IRQS, VgicIrq
from vcpu_scenario.machine.emulated.vgic.listregisters import ListRegisters, active_first, lr_count
from vcpu_scenario.machine.emulated.vgic.tablebase import INITIAL


class Interrupts:
    """The vGIC's state of one vCPU's interrupts, and the virtual CPU interface that it feeds."""

    def __init__(
        self,
        features: VgicFeatures,
        *,
        sgis_have_sources: bool,
        group: int,
        distributor: Distributor[Interrupts] | None = None,
        number: int | None = None,
    ) -> None:
        self.features = features
        self.cpuif = CpuInterface()
        self.distributor = distributor or Distributor(
            features.nr_irqs, group, features.implementation_revision
        )
        self.index = len(self.distributor.interfaces)
        """The vCPU's place among all, as they were created."""
        self.number = self.index if number is None else number
        """The vCPU's."""
        self.affinity: Callable[[], int] = lambda: affinity_of(self.number)
        """The vCPU's affinity fields."""
        self.is_last: Callable[[], bool] = lambda: self is self.distributor.interfaces[-1]
        """Whether a GICv3's redistributor says that no other follows it."""
        self.distributor.interfaces.append(self)
        self._group = group
        self.ap_list: list[VgicIrq] = []
        self._list_registers = ListRegisters(features, sgis_have_sources)
        self._last_in_lrs: VgicIrq | None = None
        self._spis_queued = 0
        self.active_outside_lrs = False
        self.pendbaser = INITIAL
        self.lpis_enabled = False
        """``GICR_CTLR.EnableLPIs``."""
        self._watch_enables()

    @cached_property
    def irqs(self) -> list[VgicIrq]:
        """By INTID."""
        private = [
            VgicIrq(intid, group=self._group, targets=1 << self.number)
            for intid in range(NR_PRIVATE_IRQS)
        ]
        return private + self.distributor.spis

    def irq(self, intid: int) -> VgicIrq:
        """One of this vCPU's, or of all."""
        return self.irqs[intid] if intid < FIRST_LPI else self.distributor.lpis[intid]

    # -- routing and queueing -------------------------------------------------------------

    def deliverable(self, irq: VgicIrq) -> bool:
        """Whether the vCPU should see ``irq``, which is on its list or on none, as it is now."""
        if irq.active and irq.queued:
            return True
        return self._destination(irq) is self

    def _destination(self, irq: VgicIrq) -> Interrupts | None:
        """``vgic_target_oracle``: which vCPU ``irq``, one of this vCPU's or of all, goes to
        now."""
        if not irq.active and not (irq.enabled and irq.pending and self.distributor.enabled):
            return None
        if irq.intid < NR_PRIVATE_IRQS:
            return self
        return None if irq.target is None else self.distributor.interfaces[irq.target]

    def queue(self, irq: VgicIrq) -> None:
        """``vgic_queue_irq_unlock``: puts ``irq`` on the list of the vCPU where it belongs."""
        if irq.queued:
            return
        destination = self._destination(irq)
        if destination is not None:
            destination.take(irq)

    def take(self, irq: VgicIrq) -> None:
        """Puts ``irq`` on this vCPU's list."""
        irq.queued = True
        self.ap_list.append(irq)
        if NR_PRIVATE_IRQS <= irq.intid < FIRST_LPI:
            self._spis_queued += 1

    def inject(self, intid: int, level: bool) -> int:
        """``kvm_vgic_inject_irq`` for userspace: 0 or a negative errno."""
        if intid >= len(self.irqs):
            # Releases up to 4.20 index past the array they allocated instead.
            return -errno.EINVAL
        if not self.irqs[intid].owned:
            self.drive(intid, level)
        return 0

    def drive(self, intid: int, level: bool) -> None:
        """``kvm_vgic_inject_irq`` for whoever has the line."""
        irq = self.irqs[intid]
        if irq.edge:
            if not level:
                return
            irq.pending_latch = True
        else:
            if irq.line_level == level:
                return
            irq.line_level = level
            irq.fell_disabled = irq.tied and not level and not irq.enabled
        self.queue(irq)

    def pending_for_vcpu(self) -> bool:
        """``kvm_vgic_vcpu_pending_irq``: whether a WFI need not wait."""
        if not self.ap_list or not self.distributor.enabled:
            return False
        heeds = self.features.wfi_heeds_priority
        return any(
            irq.pending
            and irq.enabled
            and not (heeds and (irq.active or irq.priority >= self.cpuif.pmr))
            for irq in self.ap_list
        )

    # -- before an entry ------------------------------------------------------------------

    def flush(self) -> None:
        """``kvm_vgic_flush_hwstate``: fills the list registers for an entry."""
        if self.ap_list:
            if self.features.lr_overflow:
                self._flush_with_overflow()
            else:
                self._flush()
        elif self.features.lr_overflow:
            self._watch_enables()

    def _watch_enables(self) -> None:
        cpuif = self.cpuif
        cpuif.no_pending_enable = cpuif.lr_not_present_enable = cpuif.underflow_enable = False
        cpuif.eoi_count = 0
        self.active_outside_lrs = False
        if self.features.lr_overflow:
            cpuif.watched_enables = (cpuif.enabled[0], cpuif.enabled[1])

    def _flush(self) -> None:
        features = self.features
        counts = [lr_count(irq) for irq in self.ap_list]
        many_sources = not features.sgi_sources_together and max(counts) > 1
        if sum(counts) > features.list_registers or many_sources:
            self.ap_list.sort(key=cmp_to_key(active_first))
        lrs: list[ListRegister] = []
        lowest = 0xFF
        for position, irq in enumerate(self.ap_list):
            if many_sources and irq.priority > lowest:
                break
            if self.deliverable(irq):
                self._fill(lrs, irq)
                if irq.source:
                    lowest = irq.priority
            if len(lrs) == features.list_registers:
                self.cpuif.underflow_enable = position + 1 < len(self.ap_list)
                break
        self.cpuif.lrs = lrs

    def _fill(self, lrs: list[ListRegister], irq: VgicIrq) -> None:
        """Adds ``irq`` to the list registers, of which one at least is empty."""
        populate = self._list_registers.populate
        lrs.append(populate(irq))
        while (
            self.features.sgi_sources_together
            and irq.source
            and len(lrs) < self.features.list_registers
        ):
            lrs.append(populate(irq))

    def _flush_with_overflow(self) -> None:
        self._watch_enables()
        cpuif, limit = self.cpuif, self.features.list_registers
        mine = [irq for irq in self.ap_list if self.deliverable(irq)]
        active = sum(irq.active for irq in mine)
        if len(mine) > limit:
            self.ap_list.sort(key=cmp_to_key(self._pending_first))
            mine = [irq for irq in self.ap_list if self.deliverable(irq)]
            cpuif.underflow_enable = True
            cpuif.no_pending_enable = len(mine) - active > limit
            self.active_outside_lrs = cpuif.lr_not_present_enable = active > 0
        lrs: list[ListRegister] = []
        for irq in mine:
            if len(lrs) < limit:
                self._fill(lrs, irq)
        cpuif.lrs = lrs
        self._last_in_lrs = mine[min(len(mine), limit) - 1] if mine else None

    def _pending_first(self, a: VgicIrq, b: VgicIrq) -> int:
        enabled = self.cpuif.enabled
        pending_a = a.enabled and a.pending and not a.active
        pending_b = b.enabled and b.pending and not b.active
        return (
            self.deliverable(b) - self.deliverable(a)
            or enabled[b.group] - enabled[a.group]
            or pending_b - pending_a
            or a.priority - b.priority
        )

    # -- after an exit --------------------------------------------------------------------

    def sync(self) -> None:
        """``kvm_vgic_sync_hwstate``: takes back what the guest did to the list registers."""
        if not self.ap_list:
            return
        cpuif = self.cpuif
        lrs, cpuif.lrs = cpuif.lrs, []
        for lr in lrs:
            self._fold(lr)
        if self.features.lr_overflow:
            self._fold_overflow()
        cpuif.underflow_enable = False
        self._prune()

    def _fold(self, lr: ListRegister) -> None:
        irq = self.irq(lr.intid)
        was_active = irq.active
        self._list_registers.fold(lr, irq)
        if not lr.eoi or lr.pending or lr.active or irq.intid < NR_PRIVATE_IRQS:
            return
        if was_active:
            self._spis_queued = max(self._spis_queued - 1, 0)
        elif self.features.lr_overflow and not self._list_registers.sgis_have_sources:
            return  # vgic_v3_fold_lr tells nobody of one taken and ended within an entry
        self.distributor.acknowledged(irq.intid)

    def _fold_overflow(self) -> None:
        # EOIcount is how many interrupts the guest ended that were in no list register. They
        # nest, so they are the first active ones past those that were.
        count = self.cpuif.eoi_count if self.cpuif.lr_not_present_enable else 0
        self.cpuif.eoi_count = 0
        if not count or self._last_in_lrs is None or self._last_in_lrs not in self.ap_list:
            return
        rest = self.ap_list[self.ap_list.index(self._last_in_lrs) + 1 :]
        for irq in [irq for irq in rest if irq.active][:count]:
            lr = self._list_registers.of(irq)
            lr.active = False
            self._fold(lr)

    def _prune(self) -> None:
        keep = [irq for irq in self.ap_list if self.deliverable(irq)]
        if len(keep) != len(self.ap_list):
            gone, self.ap_list = [irq for irq in self.ap_list if irq not in keep], keep
            for irq in gone:
                irq.queued = False
                self.queue(irq)  # which may have been routed to another vCPU
                self.distributor.release(irq)

    def deactivate(self, intid: int, source: int = 0) -> None:
        """A trapped write of ``ICC_DIR_EL1`` or ``GICV_DIR`` (``vgic_v3_deactivate``)."""
        if not self.cpuif.eoi_mode or intid >= len(self.irqs):
            return
        irq = self.irqs[intid]
        in_lr = self.cpuif.find_active(intid)
        if in_lr is not None:
            in_lr.active = False
        elif irq.queued and irq.active and not irq.on_lr:
            if self._list_registers.has_source(irq) and irq.active_source != source:
                return
            owner = next(one for one in self.distributor.interfaces if irq in one.ap_list)
            lr = self._list_registers.of(irq)
            lr.active = False
            owner._fold(lr)
            owner._prune()

    @property
    def deactivation_traps(self) -> bool:
        return self.active_outside_lrs or any(
            one._spis_queued for one in self.distributor.interfaces
        )

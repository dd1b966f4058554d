"""``KVM_IRQFD``: eventfds that raise an SPI, and those that say that the guest has ended it."""

from __future__ import annotations

from contextlib import suppress
from errno import EAGAIN, EBADF, EBUSY, EINVAL
from typing import TYPE_CHECKING, Final

from vcpu_scenario.ioctls.devices import Irqfd, MsiRoute, SetGsiRouting
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS
from vcpu_scenario.machine.errors import KvmError

if TYPE_CHECKING:
    from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
    from vcpu_scenario.machine.emulated.vgic import Vgic

_PINS: Final = 988
"""``KVM_IRQCHIP_NUM_PINS``: as many as there can be SPIs."""
_ROUTES: Final = 4096
"""``KVM_MAX_IRQ_ROUTES``."""


class Irqfds:
    """Those of one VM, with the eventfds that its VMM has: two for each gsi."""

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu: Final = vcpu
        self._attached: dict[int, bool] = {}
        """By gsi: whether it is resampled."""
        self._signalled: set[int] = set()
        """Of the eventfds that nobody reads, those that were written to."""
        self._resamples: dict[int, int] = {}
        """By gsi: how often that was signalled which tells of the interrupt's end."""
        self._pins: dict[int, int] | None = None
        """By gsi the pin of the vGIC, its SPI less 32; None as KVM routes them at first, each to
        the pin of its number."""
        self._msis: dict[int, MsiRoute] = {}
        """By gsi those that lead to an ITS."""

    def add(self, irqfd: Irqfd) -> None:
        """``kvm_irqfd_assign``."""
        gic = self._vcpu.gic
        if gic is None:
            raise KvmError(EAGAIN, "KVM_IRQFD")
        if irqfd.gsi in self._attached:
            raise KvmError(EBUSY, "KVM_IRQFD")
        gic.distributor.acknowledged = self._acknowledged
        self._attached[irqfd.gsi] = irqfd.resample
        if irqfd.resample:
            self._resamples.setdefault(irqfd.gsi, 0)
        if irqfd.gsi in self._signalled:
            self._signalled.discard(irqfd.gsi)
            self._inject(gic, irqfd.gsi)

    def route(self, asked: SetGsiRouting) -> None:
        """``kvm_set_irq_routing``: a gsi has one pin or MSI, a pin may have many."""
        pins, msis = dict(asked.routes), {msi[0]: msi for msi in asked.msis}
        count = len(asked.routes) + len(asked.msis)
        every = pins.keys() | msis.keys()
        if count > _ROUTES or len(every) < count or any(gsi >= _ROUTES for gsi in every):
            raise KvmError(EINVAL, "KVM_SET_GSI_ROUTING")
        if any(pin >= _PINS for pin in pins.values()):
            raise KvmError(EINVAL, "KVM_SET_GSI_ROUTING")
        if self._vcpu.gic is not None:  # one that is initialised later routes as at first
            self._pins, self._msis = pins, msis

    def _drive(self, gic: Vgic, gsi: int, level: bool) -> None:
        """``vgic_irqfd_set_irq``, ``kvm_set_msi``; nothing is routed to a pin beyond the SPIs, and
        nobody is told of an MSI that is refused."""
        if gsi in self._msis:
            from vcpu_scenario.machine.emulated.kvm.its import signal_msi

            if level:
                with suppress(KvmError):
                    signal_msi(self._vcpu, *self._msis[gsi][1:])
            return
        pin = gsi if self._pins is None else self._pins.get(gsi, _PINS)
        if pin + NR_PRIVATE_IRQS < len(gic.irqs):
            gic.drive(pin + NR_PRIVATE_IRQS, level)

    def _inject(self, gic: Vgic, gsi: int) -> None:
        """``irqfd_inject``, the worker's: the line falls again, unless it is resampled."""
        self._drive(gic, gsi, True)
        if not self._attached[gsi]:
            self._drive(gic, gsi, False)

    def remove(self, gsi: int) -> None:
        """``kvm_irqfd_deassign``: one that is resampled lets go of its line."""
        resampled = self._attached.pop(gsi, False)
        if resampled and self._vcpu.gic is not None:
            self._drive(self._vcpu.gic, gsi, False)

    def signal(self, gsi: int) -> None:
        """``irqfd_wakeup``: KVM raises the line at once, and only resampling lowers it; before it
        did so the worker had it."""
        gic = self._vcpu.gic
        if gsi not in self._attached:
            self._signalled.add(gsi)
        elif gic is not None and self._vcpu.behaviour.irqfd_injects_at_once:
            self._drive(gic, gsi, True)
        elif gic is not None:
            self._inject(gic, gsi)

    def resamples(self, gsi: int) -> int:
        if gsi not in self._resamples:
            raise KvmError(EBADF, f"read of the resamplefd of gsi {gsi}")
        found, self._resamples[gsi] = self._resamples[gsi], 0
        return found

    def _acknowledged(self, intid: int) -> None:
        """``irqfd_resampler_ack``."""
        gsi = pin = intid - NR_PRIVATE_IRQS
        if self._pins is not None:
            gsi = next((gsi for gsi, to in reversed(self._pins.items()) if to == pin), -1)
        if self._attached.get(gsi) and self._vcpu.gic is not None:
            self._drive(self._vcpu.gic, gsi, False)
            self._resamples[gsi] += 1

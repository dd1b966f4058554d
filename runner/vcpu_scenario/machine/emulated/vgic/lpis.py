"""LPIs: interrupts whose configuration and pending state lie in guest memory.

KVM has a record of those that an ITS leads to, and reads the tables when it makes one and where it
is told to. After ``vgic-its.c`` and ``vgic-v3.c``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from errno import EFAULT
from typing import Final, TypeAlias

from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.distributor import Distributor, GuestMemory
from vcpu_scenario.machine.emulated.vgic.irq import FIRST_LPI, VgicIrq
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.emulated.vgic.tablebase import PTZ

_PENDING_TABLE: Final = (1 << 52) - (1 << 16)
_CONFIGURATION_TABLE: Final = (1 << 52) - (1 << 12)
_ENABLED: Final = 1
_PRIORITY: Final = 0xFC

Lpis: TypeAlias = Distributor[Interrupts]


def memory_of(lpis: Lpis) -> GuestMemory:
    assert lpis.memory is not None
    return lpis.memory


def most_of(lpis: Lpis) -> int:
    """``max_lpis_propbaser``: the first INTID that the configuration table has no room for."""
    return 1 << min((lpis.propbaser & 0x1F) + 1, 16)


def add(lpis: Lpis, intid: int, target: int | None) -> VgicIrq:
    """``vgic_add_lpi``: the LPI that one more translation leads to. Raises :class:`Refused` where
    its tables cannot be read."""
    irq = lpis.lpis.get(intid)
    if irq is None:
        irq = lpis.lpis[intid] = VgicIrq(intid, group=1, targets=0)
        irq.target = target
        try:
            configure(lpis, irq)
            _take_pending(lpis, irq)
        except Refused:
            lpis.release(irq)
            raise
    irq.mapped += 1
    return irq


def remove(lpis: Lpis, irq: VgicIrq) -> None:
    """A translation leads there no more."""
    irq.mapped -= 1
    lpis.release(irq)


def raise_(lpis: Lpis, irq: VgicIrq) -> None:
    irq.pending_latch = True
    _queue(lpis, irq)


def configure(lpis: Lpis, irq: VgicIrq) -> None:
    """``update_lpi_config``."""
    table = lpis.propbaser & _CONFIGURATION_TABLE
    (entry,) = _read(lpis, table + irq.intid - FIRST_LPI)
    irq.priority, irq.enabled = entry & _PRIORITY, bool(entry & _ENABLED)
    _queue(lpis, irq)


def configure_all(gic: Interrupts) -> None:
    """``vgic_its_invall``: those that go to this vCPU, as far as the table can be read."""
    for irq in _walk(gic.distributor):
        if irq.target == gic.index:
            reconfigure(gic.distributor, irq)


def reconfigure(lpis: Lpis, irq: VgicIrq) -> None:
    """``vgic_its_inv_lpi``: it stays as it was where the table cannot be read."""
    with suppress(Refused):
        configure(lpis, irq)


def _take_pending(lpis: Lpis, irq: VgicIrq) -> None:
    """``vgic_v3_lpi_sync_pending_status``."""
    if irq.target is None:
        return
    at, bit = _pending_at(lpis.interfaces[irq.target], irq)
    (entry,) = _read(lpis, at)
    irq.pending_latch = bool(entry & bit)
    _queue(lpis, irq)
    if entry & bit:
        _write(lpis, at, entry & ~bit)


def enable(gic: Interrupts) -> None:
    """``vgic_enable_lpis``: what is pending is what the table says."""
    gic.lpis_enabled = True
    if gic.pendbaser & PTZ:
        return
    for irq in _walk(gic.distributor):
        mine = irq.target == gic.index
        if not mine and not gic.features.lpis_by_number:
            continue
        at, bit = _pending_at(gic, irq)
        entry = memory_of(gic.distributor).read(at, 1)
        if entry is None:
            return
        if mine:
            irq.pending_latch = bool(entry[0] & bit)
        gic.queue(irq)


def disable(gic: Interrupts) -> None:
    """``vgic_flush_pending_lpis``."""
    gic.lpis_enabled = False
    gic.distributor.translations.clear()
    gone = [irq for irq in gic.ap_list if irq.intid >= FIRST_LPI]
    gic.ap_list = [irq for irq in gic.ap_list if irq.intid < FIRST_LPI]
    for irq in gone:
        irq.queued = False
        irq.pending_latch &= not gic.features.disabling_drops_pending
        gic.distributor.release(irq)


def save_pending(lpis: Lpis) -> None:
    """``vgic_v3_save_pending_tables``."""
    for irq in _walk(lpis):
        if irq.target is None:
            continue
        at, bit = _pending_at(lpis.interfaces[irq.target], irq)
        (entry,) = _read(lpis, at)
        if bool(entry & bit) is not irq.pending_latch:
            _write(lpis, at, entry ^ bit)


def _walk(lpis: Lpis) -> Iterable[VgicIrq]:
    """Each, in the order in which KVM meets them."""
    every = list(lpis.lpis.values())
    if lpis.interfaces[0].features.lpis_by_number:
        every.sort(key=lambda irq: irq.intid)
    return every


def _queue(lpis: Lpis, irq: VgicIrq) -> None:
    lpis.interfaces[0].queue(irq)


def _pending_at(gic: Interrupts, irq: VgicIrq) -> tuple[int, int]:
    """Where the pending table of a vCPU has it: the byte, and the bit there."""
    return (gic.pendbaser & _PENDING_TABLE) + irq.intid // 8, 1 << irq.intid % 8


def _read(lpis: Lpis, ipa: int) -> bytes:
    found = memory_of(lpis).read(ipa, 1)
    if found is None:
        raise Refused(EFAULT)
    return found


def _write(lpis: Lpis, ipa: int, value: int) -> None:
    if not memory_of(lpis).write(ipa, bytes([value])):
        raise Refused(EFAULT)

"""The tables of an ITS in guest memory: where a VMM has them saved, and read again (ABI 0)."""

from __future__ import annotations

from collections.abc import Callable
from errno import EEXIST, EFAULT, EINVAL
from itertools import zip_longest
from typing import Final

from vcpu_scenario.machine.emulated.vgic import lpis
from vcpu_scenario.machine.emulated.vgic.irq import FIRST_LPI
from vcpu_scenario.machine.emulated.vgic.its.commands import MOST_EVENT_BITS, can_have
from vcpu_scenario.machine.emulated.vgic.its.state import Its
from vcpu_scenario.machine.emulated.vgic.its.tables import (
    ENTRY,
    INDIRECT,
    NEXT_LEVEL,
    PAGE,
    VALID,
    Collection,
    Device,
    Event,
    address_of,
    entry_at,
    size_of,
)
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import NotModelled

_NOWHERE: Final = 0xFFFF_FFFF
_FARTHEST_DEVICE: Final = (1 << 14) - 1
_FARTHEST_EVENT: Final = (1 << 16) - 1


def save(its: Its) -> None:
    """``vgic_its_save_tables_v0``."""
    if its.device_table & VALID:
        _save_devices(its)
    if its.collection_table & VALID:
        _save_collections(its)


def _save_devices(its: Its) -> None:
    its.devices = dict(sorted(its.devices.items()))
    places = {number: entry_at(its.memory, its.device_table, number) for number in its.devices}
    numbers = [
        number
        for number, at in places.items()
        if at is not None or not its.features.its_saves_what_it_can
    ]
    for number, following in zip_longest(numbers, numbers[1:]):
        device, at = its.devices[number], places[number]
        if at is None:
            raise Refused(EINVAL)
        _save_events(its, device)
        step = 0 if following is None else min(following - device.id, _FARTHEST_DEVICE)
        _write(its, at, VALID | step << 49 | device.table >> 8 << 5 | device.event_bits - 1)


def _save_events(its: Its, device: Device) -> None:
    device.events = dict(sorted(device.events.items()))
    numbers = [*device.events]
    for event, following in zip_longest(device.events.values(), numbers[1:]):
        step = 0 if following is None else min(following - event.id, _FARTHEST_EVENT)
        if event.collection is not None:
            entry = step << 48 | event.irq.intid << 16 | event.collection.id
        elif its.features.its_saves_what_it_can:
            entry = 0
        else:
            raise NotModelled("tables of an ITS that are saved with an event of no collection")
        _write(its, device.entry_of(event.id), entry)


def _save_collections(its: Its) -> None:
    at = address_of(its.collection_table)
    for collection in its.collections.values():
        target = _NOWHERE if collection.target is None else collection.target
        _write(its, at, VALID | target << 16 | collection.id)
        at += ENTRY
    if len(its.collections) * ENTRY != size_of(its.collection_table):
        _write(its, at, 0)


def restore(its: Its) -> None:
    """``vgic_its_restore_tables_v0``."""
    undone = its.features.its_tables_checked
    its.begin()
    try:
        if its.collection_table & VALID:
            _restore_collections(its)
    except Refused:
        if undone:
            its.forget_collections()
        raise
    try:
        if its.device_table & VALID:
            _restore_devices(its)
    except Refused:
        if undone:
            its.forget_devices()
            its.forget_collections()
        raise


def _restore_collections(its: Its) -> None:
    base = address_of(its.collection_table)
    for at in range(base, base + size_of(its.collection_table), ENTRY):
        entry = _read(its, at)
        if not entry & VALID:
            return
        target, number = entry >> 16 & 0xFFFF_FFFF, entry & 0xFFFF
        if target != _NOWHERE and not its.has_vcpu(target):
            raise Refused(EINVAL)
        if number in its.collections:
            raise Refused(EEXIST)
        if entry_at(its.memory, its.collection_table, number) is None:
            if not its.features.its_tables_checked:
                raise NotModelled(f"the collection {number:#x} that a table has no room for")
            raise Refused(EINVAL)
        its.collections[number] = Collection(number, None if target == _NOWHERE else target)


def _restore_devices(its: Its) -> None:
    base, size = address_of(its.device_table), size_of(its.device_table)
    indirect = its.device_table & INDIRECT
    _scan(its, base, size, 0, _restore_page if indirect else _restore_device)


def _scan(
    its: Its, base: int, size: int, first: int, restored: Callable[[Its, int, int], int]
) -> int:
    """``scan_its_table``: ``restored`` takes an entry and says how far the next is, 0 where it was
    the last; this returns 1 where none said so."""
    number, at, left = first, base, size
    while True:
        step = restored(its, number, _read(its, at))
        if step <= 0:
            return step
        if step * ENTRY >= left:
            if step * ENTRY > left:  # some kernels read on
                raise NotModelled("a table of an ITS whose next entry lies beyond its end")
            return 1
        number, at, left = number + step, at + step * ENTRY, left - step * ENTRY


def _restore_page(its: Its, number: int, entry: int) -> int:
    """``handle_l1_dte``."""
    if not entry & VALID:
        return 1
    first = number * (PAGE // ENTRY)
    return _scan(its, entry & NEXT_LEVEL, PAGE, first, _restore_device)


def _restore_device(its: Its, number: int, entry: int) -> int:
    """``vgic_its_restore_dte``."""
    if not entry & VALID:
        return 1
    if its.features.its_tables_checked and entry_at(its.memory, its.device_table, number) is None:
        raise Refused(EINVAL)
    if number in its.devices:
        raise NotModelled(f"the device {number:#x} of an ITS that is restored and was there")
    table = (entry >> 5 & (1 << 44) - 1) << 8
    device = its.devices[number] = Device(number, table, (entry & 0x1F) + 1)
    if device.event_bits > MOST_EVENT_BITS and its.features.its_saves_what_it_can:
        del its.devices[number]
        raise Refused(EINVAL)
    if device.event_bits > MOST_EVENT_BITS:
        raise NotModelled(f"a restored device of an ITS with {device.event_bits} bits of events")
    try:
        _restore_events(its, device)
    except Refused:
        its.forget_device(device)
        raise
    return entry >> 49 & _FARTHEST_DEVICE


def _restore_events(its: Its, device: Device) -> None:
    def restore(its: Its, number: int, entry: int) -> int:
        """``vgic_its_restore_ite``."""
        intid, step = entry >> 16 & 0xFFFF_FFFF, entry >> 48
        if not intid:
            return 1
        collection = its.collections.get(entry & 0xFFFF)
        beyond = number + step >= 1 << device.event_bits
        if intid < FIRST_LPI or beyond or collection is None:
            raise Refused(EINVAL)
        if its.features.its_tables_checked and not can_have(its, device, number):
            raise Refused(EINVAL)
        irq = lpis.add(its.lpis, intid, collection.target)
        its.remember(device, Event(number, collection, irq))
        return step

    _scan(its, device.table, ENTRY << device.event_bits, 0, restore)


def _read(its: Its, at: int) -> int:
    its.spend(1)
    found = its.memory.read(at, ENTRY)
    if found is None:
        raise Refused(EFAULT)
    return int.from_bytes(found, "little")


def _write(its: Its, at: int, entry: int) -> None:
    if not its.memory.write(at, entry.to_bytes(ENTRY, "little")):
        raise Refused(EFAULT)

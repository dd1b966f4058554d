"""The commands of an ITS. KVM ignores one that it cannot do, and continues with the next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from struct import unpack
from typing import Final, NamedTuple

from vcpu_scenario.machine.emulated.vgic import lpis
from vcpu_scenario.machine.emulated.vgic.irq import FIRST_LPI
from vcpu_scenario.machine.emulated.vgic.its.state import Its
from vcpu_scenario.machine.emulated.vgic.its.tables import Collection, Device, Event, entry_at
from vcpu_scenario.machine.emulated.vgic.mmio import Refused

SIZE: Final = 32
MOST_EVENT_BITS: Final = 16
_WORD: Final = 0xFFFF_FFFF


class _Command(NamedTuple):
    """Four words of 64 bits, and what they mean in the commands that have it."""

    w0: int
    w1: int
    w2: int
    w3: int

    @property
    def device(self) -> int:
        return self.w0 >> 32

    @property
    def event(self) -> int:
        return self.w1 & _WORD

    @property
    def event_bits(self) -> int:
        return (self.w1 & 0x1F) + 1

    @property
    def intid(self) -> int:
        return self.w1 >> 32

    @property
    def collection(self) -> int:
        return self.w2 & 0xFFFF

    @property
    def table(self) -> int:
        return self.w2 & (1 << 52) - (1 << 8)

    @property
    def target(self) -> int:
        return self.w2 >> 16 & _WORD

    @property
    def second_target(self) -> int:
        return self.w3 >> 16 & _WORD

    @property
    def valid(self) -> bool:
        return bool(self.w2 >> 63)


def handle(its: Its, data: bytes) -> None:
    """``vgic_its_handle_command``."""
    command = _Command(*unpack("<4Q", data))
    handler = _HANDLERS.get(command.w0 & 0xFF)
    its.spend(1 + len(its.lpis.lpis) if handler in _OF_ALL else 1)
    if handler is not None:
        with suppress(Refused):
            handler(its, command)


def _mapd(its: Its, command: _Command) -> None:
    entry = entry_at(its.memory, its.device_table, command.device)
    if entry is None or (command.valid and command.event_bits > MOST_EVENT_BITS):
        return
    device = its.devices.get(command.device)
    if device is not None:
        its.forget_device(device)
    if command.valid:
        made = Device(command.device, command.table, command.event_bits)
        its.devices[command.device] = made
    else:
        _clear_entry(its, entry)


def _clear_entry(its: Its, entry: int) -> None:
    if its.features.its_clears_entries:
        its.memory.write(entry, bytes(8))


def _mapc(its: Its, command: _Command) -> None:
    valid, number = command.valid, command.collection
    if (valid or not its.features.mapc_unmaps_any) and not its.has_vcpu(command.target):
        return
    if not valid:
        its.forget_collection(number)
        its.invalidate()
        return
    collection = its.collections.get(number)
    if collection is None:
        if entry_at(its.memory, its.collection_table, number) is not None:
            its.collections[number] = Collection(number, command.target)
        return
    collection.target = command.target
    for device in its.devices.values():
        for event in device.events.values():
            if event.collection is collection:
                event.irq.target = command.target


def _map(its: Its, command: _Command, intid: int) -> None:
    device = its.devices.get(command.device)
    if device is None or not can_have(its, device, command.event):
        return
    if not FIRST_LPI <= intid < lpis.most_of(its.lpis) or command.event in device.events:
        return
    collection = its.collections.get(command.collection)
    if collection is None:
        if entry_at(its.memory, its.collection_table, command.collection) is None:
            return
        collection = Collection(command.collection)
    irq = lpis.add(its.lpis, intid, collection.target)
    its.collections[collection.id] = collection
    its.remember(device, Event(command.event, collection, irq))


def can_have(its: Its, device: Device, event: int) -> bool:
    """``vgic_its_check_event_id``."""
    if event >= 1 << device.event_bits:
        return False
    return not its.features.its_tables_checked or its.memory.has(device.entry_of(event))


def _discard(its: Its, command: _Command) -> None:
    event = its.event(command.device, command.event)
    if event is not None and event.target is not None:
        device = its.devices[command.device]
        its.invalidate()
        its.forget_event(device, event.id)
        _clear_entry(its, device.entry_of(event.id))


def _movi(its: Its, command: _Command) -> None:
    event = its.event(command.device, command.event)
    if event is None or event.target is None or not its.is_mapped(command.collection):
        return
    event.collection = its.collections[command.collection]
    event.irq.target = event.target
    its.invalidate()


def _movall(its: Its, command: _Command) -> None:
    first, second = command.target, command.second_target
    if not its.has_vcpu(first) or not its.has_vcpu(second) or first == second:
        return
    for irq in its.lpis.lpis.values():
        if its.features.movall_moves_every or irq.target == first:
            irq.target = second
    its.invalidate()


def _clear(its: Its, command: _Command) -> None:
    event = its.event(command.device, command.event)
    if event is not None:
        event.irq.pending_latch = False


def _inv(its: Its, command: _Command) -> None:
    event = its.event(command.device, command.event)
    if event is not None:
        lpis.configure(its.lpis, event.irq)


def _invall(its: Its, command: _Command) -> None:
    known = its.collections.get(command.collection)
    if known is not None and known.target is not None:
        lpis.configure_all(its.lpis.interfaces[known.target])


def _int(its: Its, command: _Command) -> None:
    its.trigger(command.device, command.event)


def _sync(its: Its, command: _Command) -> None:
    """All is done at once."""


_OF_ALL: Final = (_mapc, _mapd, _invall, _movall)
"""What may look at every LPI."""
_HANDLERS: Final[dict[int, Callable[[Its, _Command], None]]] = {
    0x01: _movi,
    0x03: _int,
    0x04: _clear,
    0x05: _sync,
    0x08: _mapd,
    0x09: _mapc,
    0x0A: lambda its, command: _map(its, command, command.intid),
    0x0B: lambda its, command: _map(its, command, command.event),
    0x0C: _inv,
    0x0D: _invall,
    0x0E: _movall,
    0x0F: _discard,
}

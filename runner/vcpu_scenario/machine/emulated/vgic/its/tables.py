"""What an ITS knows of devices, events and collections, and where guest memory has its entries."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from vcpu_scenario.machine.emulated.vgic.distributor import GuestMemory
from vcpu_scenario.machine.emulated.vgic.irq import VgicIrq

VALID: Final = 1 << 63
INDIRECT: Final = 1 << 62
PAGE: Final = 0x1_0000
"""Of all tables of an ITS."""
ENTRY: Final = 8
"""Bytes of an entry of any table."""
NEXT_LEVEL: Final = (1 << 52) - (1 << 16)
"""In an entry of the first level, the address of the second."""
_IDS: Final = 1 << 16


class Collection(Struct):
    """Events that go to one vCPU: ``target`` is its number, None where it is not mapped."""

    id: int
    target: int | None = None


class Event(Struct):
    """``struct its_ite``; ``collection`` is None once it was unmapped."""

    id: int
    collection: Collection | None
    irq: VgicIrq

    @property
    def target(self) -> int | None:
        """The vCPU that it goes to, if its collection is mapped."""
        return None if self.collection is None else self.collection.target


class Device(Struct):
    """``struct its_device``: ``table`` is where its events are in guest memory."""

    id: int
    table: int
    event_bits: int
    events: dict[int, Event] = field(default_factory=dict)

    def entry_of(self, event: int) -> int:
        return self.table + event * ENTRY


def address_of(baser: int) -> int:
    """``GITS_BASER_ADDR_48_to_52``."""
    return baser & (1 << 48) - PAGE | (baser >> 12 & 0xF) << 48


def size_of(baser: int) -> int:
    return ((baser & 0xFF) + 1) * PAGE


def entry_at(memory: GuestMemory, baser: int, number: int) -> int | None:
    """``vgic_its_check_id``: where the table of ``baser`` has the entry of a device or collection;
    None where it has no room for it, or no memory there."""
    if number >= _IDS:
        return None
    if not baser & INDIRECT:
        at = address_of(baser) + number * ENTRY
        return at if number < size_of(baser) // ENTRY and memory.has(at) else None
    page, within = divmod(number, PAGE // ENTRY)
    if page >= size_of(baser) // ENTRY:
        return None
    found = memory.read(address_of(baser) + page * ENTRY, ENTRY)
    pointer = 0 if found is None else int.from_bytes(found, "little")
    at = (pointer & NEXT_LEVEL) + within * ENTRY
    return at if pointer & VALID and memory.has(at) else None

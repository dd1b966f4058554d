"""Guest memory: the memslots, and the stage-2 translation that maps them bit by bit.

The host side of a slot is an anonymous mapping; a page enters Unicorn's memory map when KVM
would map it, at its first touch. Until then touching it exits, as a stage-2 fault does. What is
mapped at once is a page, or a block of 2 MiB in a large slot, of which the host has huge pages.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct, field

from vcpu_scenario.case import Memslot
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.cpu.regions import BLOCK, PAGE, Regions
from vcpu_scenario.machine.emulated.cpu.stage2tables import Tables

_LARGE = 16 << 20
"""A slot of this size is in huge pages where it holds all of one."""
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
_PERMISSION_FAULT = 0x0C
_TRANSLATION_FAULT = 0x04
_LARGEST_STORE = 8
"""Of those that may cross into another page: larger ones are made in parts."""


class Leaf(NamedTuple):
    """A page or a block that stage 2 maps."""

    base: int
    size: int
    writable: bool


class HostSlot(Struct):
    """A memslot with the VMM's own mapping of it."""

    slot: Memslot
    base: int
    end: int
    memory: mmap.mmap
    first: ctypes.c_char | None
    """Keeps the mapping's address valid."""
    address: int
    words: memoryview[int]
    """The mapping as instructions."""
    mapped: dict[int, Leaf] = field(default_factory=dict)
    """What stage 2 maps, by where it begins."""
    code: set[int] = field(default_factory=set)
    """The pages, by their numbers, that Unicorn has translated code of."""
    by_page: bool = False
    """Whether what is mapped from now on is mapped page by page, however large the slot is."""
    end_hook: int | None = None

    def release(self) -> None:
        """Gives the memory back. Nothing may use ``address`` any more."""
        self.first = None
        self.words.release()
        self.memory.close()

    def entry(self, ipa: int) -> Leaf | None:
        """What stage 2 maps ``ipa`` with, None where it does not."""
        leaf = self.mapped.get(ipa & -BLOCK)
        if leaf is not None and leaf.size == BLOCK:
            return leaf
        return self.mapped.get(ipa & -PAGE)

    def maps(self, ipa: int) -> bool:
        """Whether stage 2 lets a read of ``ipa`` through."""
        return self.entry(ipa) is not None

    def writes(self, ipa: int) -> bool:
        """Whether stage 2 lets a write to ``ipa`` through."""
        leaf = self.entry(ipa)
        return leaf is not None and leaf.writable

    @property
    def is_large(self) -> bool:
        """Whether the host has huge pages for it."""
        return self.end - self.base >= _LARGE

    def place(self, ipa: int) -> tuple[int, int]:
        """Where the page or the block of ``ipa`` that is to be mapped begins, and its size."""
        block = ipa & -BLOCK
        large = self.is_large and not self.by_page
        if large and self.base <= block and block + BLOCK <= self.end:
            return block, BLOCK
        return ipa & -PAGE, PAGE


class Stage2:
    """The guest physical address space of one VM."""

    def __init__(self, engine: Engine, drop_code: Callable[[int, int], None]) -> None:
        """``drop_code`` makes Unicorn forget what it translated from between two addresses."""
        self._engine = engine
        self._drop_code = drop_code
        self._regions = Regions(engine, drop_code)
        self._slots: list[HostSlot] = []
        self._apart: list[HostSlot] = []
        """Memory that is in no slot."""
        self._fixed = set[int]()
        """The pages that map what is no memslot."""
        self.tables = Tables()
        self._on_store = uc.MEM_HOOK(self._keep_end)
        self._end = (0, b"")

    def add(self, slot: Memslot) -> HostSlot:
        memory = mmap.mmap(-1, slot.size, flags=_ANONYMOUS)
        first = ctypes.c_char.from_buffer(memory)
        end = slot.base + slot.size
        words = memoryview(memory).cast("I")
        host = HostSlot(slot, slot.base, end, memory, first, ctypes.addressof(first), words)
        self._slots.append(host)
        return host

    def remove(self, host: HostSlot) -> None:
        """Takes a slot out of the guest's address space; its memory stays."""
        self._slots.remove(host)
        self.unmap(host)
        self._apart.append(host)

    def put_back(self, host: HostSlot, slot: Memslot) -> None:
        """Puts memory that was taken out where ``slot`` has it, of the same size."""
        self._apart.remove(host)
        host.slot, host.base, host.end = slot, slot.base, slot.base + slot.size
        self._slots.append(host)

    def clear(self) -> None:
        """Takes all slots away, with what they hold."""
        for host in self._slots:
            self._take_out(host)
        for host in (*self._slots, *self._apart):
            host.release()
        self._slots.clear()
        self._apart.clear()
        self._fixed.clear()
        self.tables.clear()

    def overlaps(self, base: int, end: int, apart_from: HostSlot | None = None) -> bool:
        """Whether there is a slot, another than ``apart_from``, between the two addresses."""
        return any(
            host.base < end and base < host.end for host in self._slots if host is not apart_from
        )

    def slot_at(self, ipa: int) -> HostSlot | None:
        for host in self._slots:
            if host.base <= ipa < host.end:
                return host
        return None

    def word(self, ipa: int) -> int:
        """The 32 bits at ``ipa``; 0 outside of memory."""
        for host in self._slots:
            if host.base <= ipa < host.end:
                start = ipa - host.base
                if start & 3:
                    return int.from_bytes(host.memory[start : start + 4], "little")
                return host.words[start >> 2]
        return 0

    def fault_status(self, ipa: int) -> int:
        """DFSC of a fault at ``ipa``: a write to a read-only page, or a translation fault at
        the first level of the tables that has no entry."""
        slot = self.slot_at(ipa)
        leaf = None if slot is None else slot.entry(ipa)
        if leaf is not None:
            return _PERMISSION_FAULT | (3 if leaf.size == PAGE else 2)
        return _TRANSLATION_FAULT | self.tables.last_level(ipa)

    def map_at(self, host: HostSlot, ipa: int, *, writable: bool) -> None:
        """Maps the page or block of ``ipa``, in the place of what maps any of it now."""
        base, size = host.place(ipa)
        if host.mapped:
            self._unmap_within(host, base, size)
        prot = uc.UC_PROT_ALL if writable else uc.UC_PROT_READ | uc.UC_PROT_EXEC
        self._regions.map(base, size, prot, host.address + base - host.base, host.code)
        host.mapped[base] = Leaf(base, size, writable)
        self.tables.add(base, size)
        if base + size == host.end and writable and host.end_hook is None:
            self._watch_end(host)

    def unmap_page(self, host: HostSlot, ipa: int) -> None:
        """Unmaps the page of ``ipa``, or the block that it is in."""
        self._unmap_within(host, ipa & -PAGE, PAGE)

    def write_protect(self, host: HostSlot, ipa: int) -> None:
        """Lets no write to the page or block of ``ipa`` through any more, if any was."""
        leaf = host.entry(ipa)
        if leaf is not None and leaf.writable:
            base, size, _ = leaf
            self._regions.unmap(base, size, host.code)
            prot = uc.UC_PROT_READ | uc.UC_PROT_EXEC
            self._regions.map(base, size, prot, host.address + base - host.base, host.code)
            host.mapped[base] = Leaf(base, size, False)

    def unmap(self, host: HostSlot) -> None:
        """Unmaps all of the slot, and frees the tables that are empty then."""
        self._take_out(host)
        self.tables.clear()
        for base in self._fixed:
            self.tables.add(base, PAGE)
        for other in self._slots:
            for leaf in other.mapped.values():
                self.tables.add(leaf.base, leaf.size)

    def _take_out(self, host: HostSlot) -> None:
        self._regions.unmap_all(host.base, host.end, host.code)
        host.mapped.clear()
        if host.end_hook is not None:
            self._engine.remove_hook(host.end_hook)
            host.end_hook = None

    def _unmap_within(self, host: HostSlot, base: int, size: int) -> None:
        """Unmaps what maps any of the page or block that begins at ``base``."""
        pages = range(base, base + size, PAGE) if size == BLOCK else (base, base & -BLOCK)
        for at in pages:
            leaf = host.mapped.get(at)
            if leaf is not None and leaf.base + leaf.size > base:
                self._regions.unmap(leaf.base, leaf.size, host.code)
                del host.mapped[at]

    # Unicorn writes what of a store lies on the first of two pages before it finds that the second
    # one is not there. The hardware writes nothing.

    def _watch_end(self, host: HostSlot) -> None:
        first, last = host.end - _LARGEST_STORE + 1, host.end - 1
        hook = self._engine.add_hook(uc.UC_HOOK_MEM_WRITE, self._on_store, first, last)
        host.end_hook = hook
        self._engine.flush_translations()  # which have no hooks

    def _keep_end(self, _uc: int, _kind: int, ipa: int, size: int, _value: int, _data: int) -> None:
        host = self.slot_at(ipa)
        if host is not None and ipa + size > host.end:
            self._end = ipa, host.memory[ipa - host.base :]

    def undo_store(self, fault: int) -> None:
        """A store could not be made for ``fault``: puts back what it wrote before."""
        ipa, data = self._end
        if data and ipa + len(data) == fault:
            self.write(ipa, data)
        self._end = 0, b""

    def note_mapping(self, base: int, size: int) -> None:
        """Records that stage 2 has tables for this range, for the level of later faults."""
        for page in range(base, base + size, PAGE):
            self._fixed.add(page)
            self.tables.add(page, PAGE)

    def read(self, ipa: int, length: int) -> bytes | None:
        """Bytes through the VMM's mapping; None where they are not all in one slot."""
        host = self.slot_at(ipa)
        if host is None or ipa + length > host.end:
            return None
        start = ipa - host.base
        return host.memory[start : start + length]

    def read_code(self, ipa: int, length: int) -> bytes | None:
        """What Unicorn has translated, all on one page."""
        host = self.slot_at(ipa)
        if host is None:
            return None
        host.code.add(ipa // PAGE)
        start = ipa - host.base
        return host.memory[start : start + length]

    def write(self, ipa: int, data: bytes) -> bool:
        host = self.slot_at(ipa)
        if host is None or ipa + len(data) > host.end:
            return False
        if not data:
            return True
        start = ipa - host.base
        host.memory[start : start + len(data)] = data
        end = ipa + len(data)
        if host.code and not host.code.isdisjoint(range(ipa // PAGE, (end - 1) // PAGE + 1)):
            self._drop_code(ipa, end)  # Unicorn does not see writes from outside
        return True

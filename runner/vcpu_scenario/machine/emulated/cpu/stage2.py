"""Guest memory: the memslots, and the stage-2 translation that maps them bit by bit.

The host side of a slot is an anonymous mapping; a page enters Unicorn's memory map when KVM
would map it, at its first touch. Until then touching it exits, as a stage-2 fault does. What is
mapped at once is a page, or a block of 2 MiB in a large slot, of which the host has huge pages.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field

from vcpu_scenario.case import Memslot
from vcpu_scenario.machine.emulated.cpu import uc

PAGE = 4096
BLOCK = 2 << 20
_LARGE = 16 << 20
"""A slot of this size is in huge pages where it holds all of one."""
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
_PERMISSION_FAULT = 0x0C
_TRANSLATION_FAULT = 0x04
_LARGEST_STORE = 8
"""Of those that may cross into another page: larger ones are made in parts."""


@dataclass(slots=True)
class HostSlot:
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
    mapped: set[int] = field(default_factory=set)
    """Where the pages and blocks begin that stage 2 maps."""
    code: set[int] = field(default_factory=set)
    """The pages, by their numbers, that Unicorn has translated code of."""

    def release(self) -> None:
        """Gives the memory back. Nothing may use ``address`` any more."""
        self.first = None
        self.words.release()
        self.memory.close()

    def maps(self, ipa: int) -> bool:
        """Whether stage 2 maps the page of ``ipa``."""
        return self.leaf(ipa)[0] in self.mapped

    def leaf(self, ipa: int) -> tuple[int, int]:
        """Where the page or the block of ``ipa`` begins, and its size."""
        block = ipa & ~(BLOCK - 1)
        if self.end - self.base >= _LARGE and self.base <= block and block + BLOCK <= self.end:
            return block, BLOCK
        return ipa & ~(PAGE - 1), PAGE


class Stage2:
    """The guest physical address space of one VM."""

    def __init__(self, engine: uc.Engine, drop_code: Callable[[int, int], None]) -> None:
        """``drop_code`` makes Unicorn forget what it translated from between two addresses."""
        self._engine = engine
        self._drop_code = drop_code
        self._slots: list[HostSlot] = []
        self._blocks = set[int]()
        self._tables = set[int]()
        self._end_hooks: list[int] = []
        self._on_store = uc.MEM_HOOK(self._keep_end)
        self._end = (0, b"")

    def add(self, slot: Memslot) -> None:
        memory = mmap.mmap(-1, slot.size, flags=_ANONYMOUS)
        first = ctypes.c_char.from_buffer(memory)
        end = slot.base + slot.size
        words = memoryview(memory).cast("I")
        self._slots.append(
            HostSlot(slot, slot.base, end, memory, first, ctypes.addressof(first), words)
        )

    def clear(self) -> None:
        """Takes all slots away, with what they hold."""
        for host in self._slots:
            for base in host.mapped:
                self._engine.unmap(*host.leaf(base))
            host.release()
        for hook in self._end_hooks:
            self._engine.remove_hook(hook)
        self._end_hooks.clear()
        self._slots.clear()
        self._blocks.clear()
        self._tables.clear()

    def overlaps(self, base: int, end: int) -> bool:
        """Whether there is a slot between the two addresses."""
        return any(host.base < end and base < host.end for host in self._slots)

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
        the first level of the tables (4 KiB granule, from level 1) that has no entry."""
        slot = self.slot_at(ipa)
        if slot is not None and slot.maps(ipa):
            return _PERMISSION_FAULT | (3 if slot.leaf(ipa)[1] == PAGE else 2)
        if ipa >> 30 not in self._blocks:
            return _TRANSLATION_FAULT | 1
        return _TRANSLATION_FAULT | (3 if ipa >> 21 in self._tables else 2)

    def map_at(self, host: HostSlot, ipa: int) -> None:
        """Maps the page or block of ``ipa``, as ``user_mem_abort`` does."""
        base, size = host.leaf(ipa)
        readonly = host.slot.readonly
        prot = uc.UC_PROT_READ | uc.UC_PROT_EXEC if readonly else uc.UC_PROT_ALL
        self._engine.map_ptr(base, size, prot, host.address + base - host.base)
        host.mapped.add(base)
        self._blocks.add(base >> 30)
        if size == PAGE:
            self._tables.add(base >> 21)
        if base + size == host.end and not readonly:
            self._watch_end(host)

    # Unicorn writes what of a store lies on the first of two pages before it finds that the second
    # one is not there. The hardware writes nothing.

    def _watch_end(self, host: HostSlot) -> None:
        first, last = host.end - _LARGEST_STORE + 1, host.end - 1
        self._end_hooks.append(
            self._engine.add_hook(uc.UC_HOOK_MEM_WRITE, self._on_store, first, last)
        )
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
        self._blocks.update(range(base >> 30, (base + size - 1 >> 30) + 1))
        self._tables.update(range(base >> 21, (base + size - 1 >> 21) + 1))

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

"""One memslot, and page by page the VMM's memory behind it: what is mapped, own, missing, dirty."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from errno import EFAULT
from typing import Final

from msgspec import Struct, field

from vcpu_scenario.ioctls.memory import Access
from vcpu_scenario.machine.emulated.cpu.regions import PAGE
from vcpu_scenario.machine.emulated.cpu.stage2 import HostSlot, Stage2
from vcpu_scenario.machine.errors import NotModelled

NO_MEMORY: Final = ("unmapped", "past_end")
"""Mappings behind which there is no memory."""


class Slot(Struct):
    """One memslot, in the address space or deleted, with the VMM's memory for it."""

    host: HostSlot
    stage2: Stage2
    present: bool = True
    dirty: set[int] | None = None
    """The pages written since they were last asked for, where they are logged."""
    access: Access = "read_write"
    """What the VMM's own mapping lets through."""
    missing: set[int] | None = None
    """The pages that a userfaultfd puts back when they are touched; None where there is none."""
    put_back: list[tuple[int, bool]] = field(default_factory=list)
    """Those that it has, each with whether a write was met."""
    own: set[int] = field(default_factory=set)
    """The pages that were written, and so have memory of their own. The host has its page of zeroes
    for the others, which a read maps read-only. Of a slot in huge pages nothing is kept."""

    def lets(self, *, write: bool) -> bool:
        """Whether the VMM's mapping has memory there, for reading or writing."""
        return self.access == "read_write" or (self.access == "read" and not write)

    def fault(self, ipa: int, *, write: bool) -> int:
        """``user_mem_abort``: maps a page or block for the guest. 0, or the negative errno.

        A write to a page of zeroes that is mapped unmaps that under it (``mmu_invalidate_retry``):
        the guest has to fault again.
        """
        host, page = self.host, self._page(ipa)
        if not self.lets(write=write):
            return -EFAULT
        self._put_back(page, write=write)
        if write and self._copy(page):
            return 0
        writable = not host.slot.readonly and self.access == "read_write"
        writable &= page in self.own or host.is_large
        if self.dirty is not None:
            writable &= write
            if write:
                self.dirty.add(page)
        self.stage2.map_at(host, ipa, writable=writable)
        return 0

    def touch(self, ipa: int, *, write: bool) -> None:
        """KVM reads or writes there itself, and marks what it writes (``mark_page_dirty``)."""
        page = self._page(ipa)
        self._put_back(page, write=write)
        if write:
            self._copy(page)
            if self.dirty is not None:
                self.dirty.add(page)

    def reach(self, ipa: int, length: int, *, write: bool) -> None:
        """The VMM itself is to get at its memory, and puts back first what is missing of it."""
        pages = range(self._page(ipa), self._page(ipa + length - 1) + 1)
        if self.missing:
            self.own.update(self.missing.intersection(pages))
            self.missing.difference_update(pages)
        if write:
            for page in pages:
                self._copy(page)

    def discard(self, *, userfaultfd: bool) -> None:
        """``MADV_DONTNEED``: KVM is told and unmaps what lies there."""
        if self.access in NO_MEMORY:
            raise NotModelled(f"MADV_DONTNEED of memory that is {self.access}")
        host = self.host
        self.missing = set(range(host.slot.size // PAGE)) if userfaultfd else None
        self.put_back.clear()
        self.own.clear()
        if not userfaultfd:
            host.memory.madvise(mmap.MADV_DONTNEED)
        host.by_page |= userfaultfd
        self.stage2.unmap(host)

    def log(self, wanted: bool, *, initially_set: bool) -> None:
        """Logs the pages that are written from now on, or no longer. Those that are dirty from the
        beginning need no protection before they are cleared."""
        host = self.host
        if wanted and self.dirty is None and initially_set:
            self.dirty = set(range(host.slot.size // PAGE))
        elif wanted and self.dirty is None:
            self.dirty = set()
            for leaf in [*host.mapped.values()]:
                self.stage2.write_protect(host, leaf.base)
        elif not wanted:
            self.dirty = None
        host.by_page = wanted or bool(self.missing)

    def clean(self, pages: Iterable[int]) -> None:
        """Those are to be dirty when they are written again."""
        assert self.dirty is not None
        for page in self.dirty.intersection(pages):
            self.dirty.discard(page)
            self.stage2.write_protect(self.host, self.host.base + page * PAGE)

    def _page(self, ipa: int) -> int:
        return (ipa - self.host.base) // PAGE

    def _put_back(self, page: int, *, write: bool) -> None:
        """``handle_userfault``, where the page is missing."""
        if self.missing and page in self.missing:
            self.missing.discard(page)
            self.put_back.append((page, write))
            self.own.add(page)

    def _copy(self, page: int) -> bool:
        """A page that is written gets memory of its own (``do_wp_page``), and KVM unmaps what it
        had there. Returns whether it had anything."""
        host = self.host
        if page in self.own or host.is_large:
            return False
        self.own.add(page)
        ipa = host.base + page * PAGE
        if not host.maps(ipa):
            return False
        self.stage2.unmap_page(host, ipa)
        return True

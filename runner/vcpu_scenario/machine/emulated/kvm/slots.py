"""``KVM_SET_USER_MEMORY_REGION``: the memslots of a VM, by their numbers, and what is refused."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from errno import EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM
from typing import Final

from vcpu_scenario.case import Memslot
from vcpu_scenario.ioctls.memory import Access, ClearDirtyLog, DiscardMemory, SetMemoryRegion
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.abi import KVM_MEM_GUEST_MEMFD
from vcpu_scenario.machine.emulated.cpu.stage2 import PAGE, HostSlot, Stage2
from vcpu_scenario.machine.errors import KvmError, NotModelled

_IPA_BITS: Final = 40
"""Of the guest's physical address space in a VM of type 0."""

_MOST: Final = 1 << 32
"""More than a host has to spare; it must fail here rather than when the guest touches it."""

_SLOTS: Final = 512
_MANY_SLOTS: Final = 32767
_BITS: Final = 64
"""Pages of which KVM_CLEAR_DIRTY_LOG takes all or none, but for the last of a slot."""


@dataclass(slots=True)
class Slot:
    """One memslot, in the address space or deleted, with the VMM's memory for it."""

    host: HostSlot
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

    def touch(self, page: int, *, write: bool) -> None:
        """``handle_userfault``, where the page is missing."""
        if self.missing and page in self.missing:
            self.missing.discard(page)
            self.put_back.append((page, write))
            self.own.add(page)


def ipa_limit(behaviour: Behaviour, pa_bits: int) -> int:
    """Where a VM's guest physical address space ends, on a host with ``pa_bits`` of its own."""
    return 1 << (pa_bits if behaviour.pkvm_vm_copied else _IPA_BITS)


@dataclass(slots=True)
class Memslots:
    """Those of one VM. Every method raises :class:`KvmError` where the kernel refuses."""

    stage2: Stage2
    behaviour: Behaviour
    ipa_limit: int
    """Where the guest's physical address space ends."""
    manual_protect: bool = False
    """``KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2``: to ask for dirty pages does not clear them."""
    _slots: dict[int, Slot] = field(default_factory=dict)

    @property
    def _most(self) -> int:
        """``KVM_USER_MEM_SLOTS``."""
        return _MANY_SLOTS if self.behaviour.memslots_32767 else _SLOTS

    def unmap(self) -> None:
        """``stage2_unmap_vm``: the guest's accesses fault again, each page's first."""
        for slot in self._slots.values():
            if slot.present:
                self.stage2.unmap(slot.host)

    def add(self, slot: Memslot) -> None:
        """A slot with the number after the highest that there was."""
        number = max(self._slots, default=-1) + 1
        self.set_region(SetMemoryRegion(number, slot.base, slot.size, slot.readonly))

    def set_region(self, asked: SetMemoryRegion) -> None:
        """``__kvm_set_memory_region`` with ``kvm_arch_prepare_memory_region``."""
        what = f"memslot {asked.base:#x}+{asked.size:#x}"
        old = self._slots.get(asked.slot)
        present = old is not None and old.present
        self._check_request(asked, what)
        if not asked.size:
            self._delete(old, what)
            return
        host = old.host if old is not None and old.present else None
        if host is not None and (
            asked.bits or host.slot.size != asked.size or host.slot.readonly is not asked.readonly
        ):
            raise KvmError(EINVAL, what)
        moved = host is None or host.base != asked.base
        if moved and self.stage2.overlaps(asked.base, asked.base + asked.size, apart_from=host):
            raise KvmError(EEXIST, what)
        if asked.bits:  # kvm_gmem_bind
            raise KvmError(EBADF, what)
        if asked.base + asked.size > self.ipa_limit:
            raise KvmError(EFAULT, what)
        slot = Memslot(asked.base, asked.size, asked.readonly)
        if old is None or (not present and old.host.slot.size != asked.size):
            old = self._slots[asked.slot] = Slot(self._mapped(slot))
        elif not present:
            self.stage2.put_back(old.host, slot)
            old.present = True
        elif moved:
            self.stage2.remove(old.host)
            self.stage2.put_back(old.host, slot)
        self._log(old, asked.log_dirty)

    def _check_request(self, asked: SetMemoryRegion, what: str) -> None:
        if asked.second and not self.behaviour.user_memory2:
            raise KvmError(EINVAL, asked.request)
        guarded = asked.second and self.behaviour.guest_memfd
        guarded &= not (asked.readonly or asked.log_dirty)
        if asked.bits & ~(KVM_MEM_GUEST_MEMFD * guarded):  # check_memory_region_flags
            raise KvmError(EINVAL, what)
        if asked.base % PAGE or asked.size % PAGE or asked.size < 0 or asked.base < 0:
            raise KvmError(EINVAL, what)
        if asked.slot >= self._most or asked.base + asked.size >= 1 << 64:
            raise KvmError(EINVAL, what)

    def _mapped(self, slot: Memslot) -> HostSlot:
        if slot.size > _MOST:
            raise KvmError(ENOMEM, f"memslot {slot.base:#x}+{slot.size:#x}")
        try:
            return self.stage2.add(slot)
        except OSError as error:  # the VMM's own mapping of it
            raise KvmError(error.errno or ENOMEM, f"mmap {slot.size:#x}") from None

    def _delete(self, slot: Slot | None, what: str) -> None:
        if slot is None or not slot.present:
            raise KvmError(EINVAL, what)
        slot.present = False
        slot.dirty = None
        slot.host.by_page = False
        self.stage2.remove(slot.host)

    def _log(self, slot: Slot, wanted: bool) -> None:
        if wanted and slot.dirty is None:
            slot.dirty = set()
            for leaf in [*slot.host.mapped.values()]:
                self.stage2.write_protect(slot.host, leaf.base)
        elif not wanted:
            slot.dirty = None
        slot.host.by_page = wanted or bool(slot.missing)

    def regions(self) -> tuple[SetMemoryRegion, ...]:
        """The slots that there are, as they would be asked for."""
        return tuple(
            SetMemoryRegion(
                number,
                slot.host.base,
                slot.host.slot.size,
                slot.host.slot.readonly,
                slot.dirty is not None,
            )
            for number, slot in self._slots.items()
            if slot.present
        )

    # -- the dirty log -----------------------------------------------------------------------

    def dirty_log(self, number: int) -> tuple[int, ...]:
        """``kvm_get_dirty_log_protect``."""
        slot, dirty = self._logged(number, "KVM_GET_DIRTY_LOG")
        found = tuple(sorted(dirty))
        if not self.manual_protect:
            self._clean(slot, dirty, found)
        return found

    def clear_dirty_log(self, asked: ClearDirtyLog) -> None:
        """``kvm_clear_dirty_log_protect``."""
        what = "KVM_CLEAR_DIRTY_LOG"
        first, count = asked.first, asked.count
        if first % _BITS:
            raise KvmError(EINVAL, what)
        slot, dirty = self._logged(asked.slot, what)
        rest = slot.host.slot.size // PAGE - first
        if rest < 0 or count > rest or (count < rest and count % _BITS):
            raise KvmError(EINVAL, what)
        within = range(first, first + count)
        self._clean(slot, dirty, tuple(page for page in asked.pages if page in within))

    def _logged(self, number: int, what: str) -> tuple[Slot, set[int]]:
        if number >= self._most:
            raise KvmError(EINVAL, what)
        slot = self._slots.get(number)
        if slot is None or slot.dirty is None:
            raise KvmError(ENOENT, what)
        return slot, slot.dirty

    def _clean(self, slot: Slot, dirty: set[int], pages: tuple[int, ...]) -> None:
        for page in pages:
            if page in dirty:
                dirty.discard(page)
                self.stage2.write_protect(slot.host, slot.host.base + page * PAGE)

    def touched(self, ipa: int, *, write: bool) -> None:
        """KVM reads or writes there itself, and marks what it writes (``mark_page_dirty``)."""
        host = self.stage2.slot_at(ipa)
        if host is not None:
            slot, page = self._of(host), (ipa - host.base) // PAGE
            slot.touch(page, write=write)
            if write:
                self._copied(slot, page)
            if write and slot.dirty is not None:
                slot.dirty.add(page)

    # -- the VMM's mapping -------------------------------------------------------------------

    def set_access(self, number: int, access: Access) -> None:
        """The VMM changes its mapping; KVM is told and unmaps what lies on it."""
        slot = self._slots.get(number)
        if slot is None:
            raise KvmError(EINVAL, f"the VMM has no memory of slot {number}")
        protects = access not in ("unmapped", "past_end")
        if protects and slot.access == "unmapped":
            raise KvmError(ENOMEM, "mprotect")
        if not (protects and slot.access == "past_end"):  # it ends where it did
            slot.access = access
        self.stage2.unmap(slot.host)

    def write(self, ipa: int, data: bytes) -> None:
        self._reach(ipa, len(data), write=True)
        if not self.stage2.write(ipa, data):
            raise KvmError(EFAULT, f"no memslot holds {ipa:#x}+{len(data):#x}")

    def read(self, ipa: int, length: int) -> bytes:
        self._reach(ipa, length, write=False)
        found = self.stage2.read(ipa, length)
        if found is None:
            raise KvmError(EFAULT, f"no memslot holds {ipa:#x}+{length:#x}")
        return found

    def discard(self, asked: DiscardMemory) -> None:
        """``MADV_DONTNEED``: KVM is told and unmaps what lies there."""
        number, refilled = asked.slot, asked.userfaultfd
        slot = self._slots.get(number)
        if slot is None:
            raise KvmError(EINVAL, f"the VMM has no memory of slot {number}")
        if slot.access in ("unmapped", "past_end"):
            raise NotModelled(f"MADV_DONTNEED of memory that is {slot.access}")
        slot.missing = set(range(slot.host.slot.size // PAGE)) if refilled else None
        slot.put_back.clear()
        slot.own.clear()
        if not refilled:
            slot.host.memory.madvise(mmap.MADV_DONTNEED)
        slot.host.by_page |= refilled
        self.stage2.unmap(slot.host)

    def userfaults(self, number: int) -> tuple[tuple[int, bool], ...]:
        slot = self._slots.get(number)
        if slot is None or slot.missing is None:
            raise KvmError(EBADF, f"read of the userfaultfd of slot {number}")
        told = tuple(slot.put_back)
        slot.put_back.clear()
        return told

    def _reach(self, ipa: int, length: int, *, write: bool) -> None:
        """The VMM itself is to get at its memory, and puts back first what is missing of it.
        Raises :class:`KvmError` where it cannot."""
        host = self.stage2.slot_at(ipa)
        if host is None:
            return
        if not self.reachable(host, write=write):
            raise KvmError(EFAULT, f"the VMM's mapping of {ipa:#x} lets nothing through")
        slot, start = self._of(host), ipa - host.base
        pages = range(start // PAGE, (start + length - 1) // PAGE + 1)
        if slot.missing:
            slot.own.update(slot.missing.intersection(pages))
            slot.missing.difference_update(pages)
        if write:
            for page in pages:
                self._copied(slot, page)

    def _copied(self, slot: Slot, page: int) -> bool:
        """A page that is written gets memory of its own (``do_wp_page``), and KVM unmaps what it
        had there. Returns whether it had anything."""
        host = slot.host
        if page in slot.own or host.is_large:
            return False
        slot.own.add(page)
        ipa = host.base + page * PAGE
        if not host.maps(ipa):
            return False
        self.stage2.unmap_page(host, ipa)
        return True

    def reachable(self, host: HostSlot, *, write: bool) -> bool:
        """Whether the VMM's mapping has memory there, for reading or writing."""
        access = self._of(host).access
        return access == "read_write" or (access == "read" and not write)

    def fault(self, host: HostSlot, ipa: int, *, write: bool) -> int:
        """``user_mem_abort``: maps a page or block for the guest. 0, or the negative errno.

        A write to a page of zeroes that is mapped unmaps that under it (``mmu_invalidate_retry``):
        the guest has to fault again.
        """
        slot, page = self._of(host), (ipa - host.base) // PAGE
        if not self.reachable(host, write=write):
            return -EFAULT
        slot.touch(page, write=write)
        if write and self._copied(slot, page):
            return 0
        writable = not host.slot.readonly and slot.access == "read_write"
        writable &= page in slot.own or host.is_large
        if slot.dirty is not None:
            writable &= write
            if write:
                slot.dirty.add(page)
        self.stage2.map_at(host, ipa, writable=writable)
        return 0

    def _of(self, host: HostSlot) -> Slot:
        return next(slot for slot in self._slots.values() if slot.host is host)

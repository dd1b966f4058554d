"""Guest memory: anonymous mappings that ``KVM_SET_USER_MEMORY_REGION`` shows to the guest."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
from typing import Final

from msgspec import Struct

from vcpu_scenario.case import Memslot
from vcpu_scenario.ioctls.memory import Access, ClearDirtyLog, DiscardMemory, SetMemoryRegion
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.real import caches, mappings, uapi
from vcpu_scenario.machine.real.ioctls import call, refusal
from vcpu_scenario.machine.real.userfaults import Userfaults

_REGION: Final = "KVM_SET_USER_MEMORY_REGION"
_REQUESTS: Final = (
    (uapi.KVM_SET_USER_MEMORY_REGION, uapi.kvm_userspace_memory_region),
    (uapi.KVM_SET_USER_MEMORY_REGION2, uapi.kvm_userspace_memory_region2),
)
_NO_FILE: Final = {"guest_memfd": 0xFFFF_FFFF}
_PAGE: Final = 4096
_BLOCK: Final = 2 << 20
_LARGE: Final = 16 << 20
"""A slot of this size is in huge pages, where the host has them."""


class _Slot(Struct):
    """A slot's memory, and where the guest has it: ``base`` None where the slot is deleted."""

    pages: mmap.mmap
    begins: int
    """Where in ``pages`` it begins: at what a huge page can begin at, if it is large."""
    address: int
    size: int
    base: int | None
    access: Access = "read_write"
    asked: SetMemoryRegion | None = None
    """What made it as it is."""
    faults: Userfaults | None = None
    """What puts its pages back."""

    def ready(self, offset: int, length: int) -> None:
        """The VMM is about to touch these bytes."""
        if self.faults is not None and length:
            self.faults.fill(offset, length)


class GuestMemory:
    """The memslots of one VM by their numbers, those of the set-up in the order they came."""

    def __init__(self, vm: int) -> None:
        self._vm = vm
        self._slots: dict[int, _Slot] = {}

    def add(self, slot: Memslot) -> None:
        number = max(self._slots, default=-1) + 1
        self.set_region(SetMemoryRegion(number, slot.base, slot.size, slot.readonly))

    def set_region(self, asked: SetMemoryRegion) -> None:
        """The ioctl with the VMM's memory of that slot, which is new where its size is."""
        old = self._slots.get(asked.slot)
        kept = old is not None and (old.base is not None or old.size == asked.size)
        slot = old if old is not None and (kept or not asked.size) else _mapped(asked.size)
        request, form = _REQUESTS[asked.second]
        region = form(
            slot=asked.slot,
            flags=abi.KVM_MEM_READONLY * asked.readonly
            | abi.KVM_MEM_LOG_DIRTY_PAGES * asked.log_dirty
            | asked.bits,
            guest_phys_addr=asked.base,
            memory_size=asked.size,
            userspace_addr=slot.address if slot is not None else 0,
            **_NO_FILE if asked.second else {},
        )
        call(self._vm, request, region, asked.request)
        if slot is not None:
            slot.base = asked.base if asked.size else None
            slot.asked = asked if asked.size else None
            self._slots[asked.slot] = slot

    def regions(self) -> tuple[SetMemoryRegion, ...]:
        """The slots that there are."""
        return tuple(slot.asked for slot in self._slots.values() if slot.asked is not None)

    def set_access(self, number: int, access: Access) -> None:
        """Changes what the VMM's own mapping of a slot's memory lets through."""
        slot = self._slots.get(number)
        if slot is None:
            raise KvmError(errno.EINVAL, f"the VMM has no memory of slot {number}")
        try:
            mappings.change(slot.address, slot.size, access)
        except OSError as refusal:
            what = str(refusal.strerror)
            raise KvmError(refusal.errno or errno.EIO, what) from None
        slot.access = access

    def discard(self, asked: DiscardMemory) -> None:
        """Drops what is in a slot's memory, for good or until it is touched."""
        slot = self._slots.get(asked.slot)
        if slot is None:
            raise KvmError(errno.EINVAL, f"the VMM has no memory of slot {asked.slot}")
        if slot.faults is not None:
            slot.faults.fill(0, slot.size)
            slot.faults.close()
        slot.faults = Userfaults(slot.address, slot.size) if asked.userfaultfd else None
        mappings.discard(slot.address, slot.size)

    def userfaults(self, number: int) -> tuple[tuple[int, bool], ...]:
        slot = self._slots.get(number)
        if slot is None or slot.faults is None:
            raise KvmError(errno.EBADF, f"read of the userfaultfd of slot {number}")
        return slot.faults.told()

    def restore(self) -> None:
        """Gives every address back that belongs to memory: it is about to be released."""
        for slot in self._slots.values():
            if slot.faults is not None:
                slot.faults.close()
            if slot.access in ("unmapped", "past_end"):
                mappings.reserve(slot.address, slot.size)

    # -- the dirty log -----------------------------------------------------------------------

    def dirty_log(self, number: int) -> tuple[int, ...]:
        """The pages that were written, by their numbers in the slot."""
        bitmap = self._bitmap(number)
        request = uapi.kvm_dirty_log(slot=number, dirty_bitmap=ctypes.addressof(bitmap))
        call(self._vm, uapi.KVM_GET_DIRTY_LOG, request, "KVM_GET_DIRTY_LOG")
        bits = int.from_bytes(bytes(bitmap), "little")
        return tuple(page for page in range(bits.bit_length()) if bits >> page & 1)

    def clear_dirty_log(self, asked: ClearDirtyLog) -> None:
        bitmap = self._bitmap(asked.slot, asked.count)
        for page in asked.pages:
            at = page - asked.first
            if 0 <= at < 8 * len(bitmap):
                bitmap[at // 8] |= 1 << at % 8
        request = uapi.kvm_clear_dirty_log(
            slot=asked.slot,
            num_pages=asked.count,
            first_page=asked.first,
            dirty_bitmap=ctypes.addressof(bitmap),
        )
        call(self._vm, uapi.KVM_CLEAR_DIRTY_LOG, request, "KVM_CLEAR_DIRTY_LOG")

    def _bitmap(self, number: int, pages: int = 0) -> ctypes.Array[ctypes.c_uint8]:
        """Room for a bit of each page, in whole words of 64."""
        slot = self._slots.get(number)
        pages = max(pages, slot.size // _PAGE if slot is not None else 0)
        return (ctypes.c_uint8 * (8 * (-(-pages // 64) + 1)))()

    # -- what is in it -----------------------------------------------------------------------

    def write(self, ipa: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            slot, offset, room = self._at(ipa + done, write=True)
            piece = data[done : done + room]
            slot.ready(offset, len(piece))
            at = slot.begins + offset
            slot.pages[at : at + len(piece)] = piece
            caches.synchronise(slot.address + offset, len(piece))
            done += len(piece)

    def read(self, ipa: int, length: int) -> bytes:
        out = bytearray()
        while len(out) < length:
            slot, offset, room = self._at(ipa + len(out), write=False)
            count = min(room, length - len(out))
            slot.ready(offset, count)
            caches.synchronise(slot.address + offset, count)
            out += slot.pages[slot.begins + offset : slot.begins + offset + count]
        return bytes(out)

    def _at(self, ipa: int, *, write: bool) -> tuple[_Slot, int, int]:
        """The slot at ``ipa``, the offset in it, and how many bytes it has from there."""
        for slot in self._slots.values():
            if slot.base is None or not 0 <= ipa - slot.base < slot.size:
                continue
            if slot.access != "read_write" and (write or slot.access != "read"):
                break
            offset = ipa - slot.base
            return slot, offset, slot.size - offset
        raise KvmError(errno.EFAULT, f"guest memory at {ipa:#x}: no memslot")


def _mapped(size: int) -> _Slot | None:
    """Memory for a new slot; none for one of no size."""
    if not size:
        return None
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    spare = _BLOCK if size >= _LARGE else 0
    try:
        pages = mmap.mmap(-1, size + spare, flags=flags)
    except (OSError, ValueError, OverflowError) as error:
        raise refusal(OSError(getattr(error, "errno", errno.EINVAL), ""), _REGION) from error
    if spare:
        with contextlib.suppress(OSError):  # a host without huge pages
            pages.madvise(mmap.MADV_HUGEPAGE)
    mapped = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    address = mapped + (-mapped % _BLOCK if spare else 0)
    return _Slot(pages, address - mapped, address, size, None)

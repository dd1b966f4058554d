"""Memory slots, what the VMM's own mapping of them lets through, and the dirty log."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Access: TypeAlias = Literal["read_write", "read", "none", "unmapped", "past_end"]
"""What a VMM's own mapping of guest memory lets through: ``unmapped`` is no mapping at all,
``past_end`` that of a file which ends before it."""


class SetMemoryRegion(Struct, frozen=True):
    """``KVM_SET_USER_MEMORY_REGION`` of the slot called ``slot``; ``size`` 0 deletes it.

    The VMM's memory of a slot stays the same as long as its size does, also while the slot is
    deleted.
    """

    slot: int
    base: int
    size: int
    readonly: bool = False
    log_dirty: bool = False
    bits: int = 0
    """Further bits of ``flags``: no such ioctl takes one, unless it is ``KVM_MEM_GUEST_MEMFD`` and
    ``second``, for which there is no guest_memfd."""
    second: bool = False
    """It is ``KVM_SET_USER_MEMORY_REGION2``."""

    @property
    def request(self) -> str:
        return "KVM_SET_USER_MEMORY_REGION2" if self.second else "KVM_SET_USER_MEMORY_REGION"


class SetHostMapping(Struct, frozen=True):
    """The VMM changes its own mapping of a slot's memory: ``mprotect``, ``munmap`` or ``mmap``."""

    slot: int
    access: Access


class DiscardMemory(Struct, frozen=True):
    """``MADV_DONTNEED`` of the VMM's memory of a slot: it is zero from then on, or, with a
    userfaultfd, each page is what it was once it is touched."""

    slot: int
    userfaultfd: bool = False


class GetUserfaults(Struct, frozen=True):
    """The pages that were touched, of those that a userfaultfd puts back, since this was asked
    last; ``written`` are those among them that a write met."""

    slot: int
    pages: tuple[int, ...]
    written: tuple[int, ...] = ()


class GetDirtyLog(Struct, frozen=True):
    """``KVM_GET_DIRTY_LOG``; ``pages`` are those expected to be dirty, None for any."""

    slot: int
    pages: tuple[int, ...] | None = None


class ClearDirtyLog(Struct, frozen=True):
    """``KVM_CLEAR_DIRTY_LOG`` of ``count`` pages from ``first`` on, with the bits of ``pages``."""

    slot: int
    first: int
    count: int
    pages: tuple[int, ...]


MemoryIoctl: TypeAlias = (
    SetMemoryRegion | SetHostMapping | DiscardMemory | GetUserfaults | GetDirtyLog | ClearDirtyLog
)

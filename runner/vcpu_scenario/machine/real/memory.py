"""Guest memory: anonymous mappings that ``KVM_SET_USER_MEMORY_REGION`` shows to the guest."""

from __future__ import annotations

import ctypes
import errno
import mmap
from dataclasses import dataclass

from vcpu_scenario.case import Memslot
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.interface import KvmError
from vcpu_scenario.machine.real import caches, uapi
from vcpu_scenario.machine.real.ioctls import call, refusal


@dataclass(frozen=True, slots=True)
class _Mapping:
    slot: Memslot
    pages: mmap.mmap
    address: int


class GuestMemory:
    """The memslots of one VM, numbered in the order they came."""

    def __init__(self, vm: int) -> None:
        self._vm = vm
        self._mappings: list[_Mapping] = []

    def add(self, slot: Memslot) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        what = "KVM_SET_USER_MEMORY_REGION"
        try:
            pages = mmap.mmap(-1, slot.size, flags=flags)
        except (OSError, ValueError, OverflowError) as error:
            raise refusal(OSError(getattr(error, "errno", errno.EINVAL), ""), what) from error
        address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        region = uapi.kvm_userspace_memory_region(
            slot=len(self._mappings),
            flags=abi.KVM_MEM_READONLY if slot.readonly else 0,
            guest_phys_addr=slot.base,
            memory_size=slot.size,
            userspace_addr=address,
        )
        call(self._vm, uapi.KVM_SET_USER_MEMORY_REGION, region, what)
        self._mappings.append(_Mapping(slot, pages, address))

    def write(self, ipa: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            mapping, offset, room = self._at(ipa + done)
            piece = data[done : done + room]
            mapping.pages[offset : offset + len(piece)] = piece
            caches.synchronise(mapping.address + offset, len(piece))
            done += len(piece)

    def read(self, ipa: int, length: int) -> bytes:
        out = bytearray()
        while len(out) < length:
            mapping, offset, room = self._at(ipa + len(out))
            count = min(room, length - len(out))
            caches.synchronise(mapping.address + offset, count)
            out += mapping.pages[offset : offset + count]
        return bytes(out)

    def _at(self, ipa: int) -> tuple[_Mapping, int, int]:
        """The mapping at ``ipa``, the offset in it, and how many bytes it has from there."""
        for mapping in self._mappings:
            offset = ipa - mapping.slot.base
            if 0 <= offset < mapping.slot.size:
                return mapping, offset, mapping.slot.size - offset
        raise KvmError(errno.EFAULT, f"guest memory at {ipa:#x}: no memslot")

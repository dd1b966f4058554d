"""The VMM's own mappings of guest memory, changed under KVM's eyes."""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from typing import Any, Final

from vcpu_scenario.ioctls.memory import Access

_FIXED: Final = 0x10
_NONE: Final = 0
_READ_WRITE: Final = mmap.PROT_READ | mmap.PROT_WRITE
_PROTECTIONS: Final = {"read_write": _READ_WRITE, "read": mmap.PROT_READ, "none": _NONE}


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc


def change(address: int, size: int, access: Access) -> None:
    """Lets through what ``access`` says; raises OSError where the host cannot."""
    if access == "unmapped":
        _check(_libc().munmap(address, size), "munmap")
    elif access == "past_end":
        fd = os.memfd_create("guest")  # of no length
        try:
            _map(address, size, _READ_WRITE, mmap.MAP_SHARED, fd)
        finally:
            os.close(fd)
    else:
        _check(_libc().mprotect(address, size, _PROTECTIONS[access]), "mprotect")


def discard(address: int, size: int) -> None:
    """Drops what is there."""
    _check(_libc().madvise(address, size, mmap.MADV_DONTNEED), "madvise")


def reserve(address: int, size: int) -> None:
    """Puts something in the place again that whoever mapped it at first may unmap."""
    _map(address, size, _NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)


def _map(address: int, size: int, protection: int, flags: int, fd: int) -> None:
    got = _libc().mmap(address, size, protection, flags | _FIXED, fd, 0)
    if got != address:
        _check(-1, "mmap")


def _check(result: int, what: str) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")

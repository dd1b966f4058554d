"""A userfaultfd of a slot's memory: a thread puts each page back when it is touched."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import struct
import threading
from typing import Final

from vcpu_scenario.machine.errors import Lacking
from vcpu_scenario.machine.real.ioctls import call

_SYSCALL: Final = {"aarch64": 282, "x86_64": 323}
_UFFDIO_API: Final = 0xC018_AA3F
_UFFDIO_REGISTER: Final = 0xC020_AA00
_UFFDIO_COPY: Final = 0xC028_AA03
_API: Final = 0xAA
_MISSING: Final = 1
_MESSAGE: Final = struct.Struct("=B7xQQ8x")
"""``struct uffd_msg``: the event, and the flags and the address of a fault."""
_PAGEFAULT: Final = 0x12
_BY_A_WRITE: Final = 1
_PAGE: Final = 4096


class Userfaults:
    """The pages from ``address``, which were there: they are gone until they are touched."""

    def __init__(self, address: int, size: int) -> None:
        """Raises :class:`Lacking` where the host has no userfaultfd for who asks."""
        self._address: Final = address
        self._kept: Final = ctypes.create_string_buffer(ctypes.string_at(address, size), size)
        self._told: list[tuple[int, bool]] = []
        self._fd: Final = _opened()
        self._stop: Final = os.eventfd(0, os.EFD_CLOEXEC)
        call(self._fd, _UFFDIO_API, _words(_API, 0, 0), "UFFDIO_API")
        asked = _words(address, size, _MISSING, 0)
        call(self._fd, _UFFDIO_REGISTER, asked, "UFFDIO_REGISTER")
        self._thread: Final = threading.Thread(target=self._serve, daemon=True)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._thread.start()  # takes none of the signals that are to end KVM_RUN
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def told(self) -> tuple[tuple[int, bool], ...]:
        """The pages that were asked for since this was, each with whether a write did it."""
        told, self._told = tuple(self._told), []
        return told

    def fill(self, offset: int, length: int) -> None:
        """Puts back what the VMM is about to touch: the thread could not while it waits."""
        for page in range(offset // _PAGE, (offset + length - 1) // _PAGE + 1):
            self._put_back(page)

    def close(self) -> None:
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        for fd in (self._fd, self._stop):
            os.close(fd)

    def _serve(self) -> None:
        waiting = select.poll()
        for fd in (self._fd, self._stop):
            waiting.register(fd, select.POLLIN)
        while all(fd == self._fd for fd, _ in waiting.poll()):
            with contextlib.suppress(BlockingIOError):  # who touched it has gone
                event, flags, at = _MESSAGE.unpack(os.read(self._fd, _MESSAGE.size))
                if event == _PAGEFAULT:
                    page = (at - self._address) // _PAGE
                    self._told.append((page, bool(flags & _BY_A_WRITE)))
                    self._put_back(page)

    def _put_back(self, page: int) -> None:
        kept = ctypes.addressof(self._kept) + page * _PAGE
        copy = _words(self._address + page * _PAGE, kept, _PAGE, 0, 0)
        with contextlib.suppress(FileExistsError):  # it is there
            fcntl.ioctl(self._fd, _UFFDIO_COPY, copy)


def _opened() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    number = _SYSCALL.get(platform.machine(), -1)
    fd: int = libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        raise Lacking(ctypes.get_errno() or errno.ENOSYS, "userfaultfd for this user")
    return fd


def _words(*words: int) -> ctypes.Array[ctypes.c_uint64]:
    return (ctypes.c_uint64 * len(words))(*words)

"""``ioctl`` with the kernel's refusals as :class:`~vcpu_scenario.machine.interface.KvmError`."""

from __future__ import annotations

import ctypes
import fcntl
import os

from vcpu_scenario.machine.interface import KvmError


def call(fd: int, request: int, argument: ctypes.Structure | int, what: str) -> int:
    """``ioctl(fd, request, argument)``; ``what`` names it in the :class:`KvmError`."""
    try:
        return fcntl.ioctl(fd, request, argument)
    except OSError as error:
        raise refusal(error, what) from None


def refusal(error: OSError, what: str) -> KvmError:
    number = error.errno or 0
    return KvmError(number, f"{what}: {os.strerror(number)}")

"""``ioctl`` with the kernel's refusals as :class:`~vcpu_scenario.machine.interface.KvmError`."""

from __future__ import annotations

import ctypes
import fcntl
from typing import TypeAlias

from vcpu_scenario.machine.interface import KvmError

Argument: TypeAlias = "ctypes.Structure | ctypes.Array[ctypes.c_uint32] | int"


def call(fd: int, request: int, argument: Argument, what: str) -> int:
    """``ioctl(fd, request, argument)``; ``what`` names it in the :class:`KvmError`."""
    try:
        return fcntl.ioctl(fd, request, argument)
    except OSError as error:
        raise refusal(error, what) from None


def refusal(error: OSError, what: str) -> KvmError:
    return KvmError(error.errno or 0, what)

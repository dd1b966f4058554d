"""``ioctl`` with the kernel's refusals as :class:`~vcpu_scenario.machine.errors.KvmError`."""

from __future__ import annotations

import ctypes
import fcntl
from typing import Any, TypeAlias

from vcpu_scenario.machine.errors import KvmError

Argument: TypeAlias = "ctypes.Structure | ctypes.Array[Any] | int"
"""An address does not fit into an ``int`` of ``fcntl``: what KVM reads or writes is handed over
itself."""


def call(fd: int, request: int, argument: Argument, what: str) -> int:
    """``ioctl(fd, request, argument)``; ``what`` names it in the :class:`KvmError`."""
    try:
        return fcntl.ioctl(fd, request, argument)
    except OSError as error:
        raise refusal(error, what) from None


def refusal(error: OSError, what: str) -> KvmError:
    return KvmError(error.errno or 0, what)

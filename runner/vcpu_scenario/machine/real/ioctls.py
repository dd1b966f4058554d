"""``ioctl`` with the kernel's refusals as :class:`~vcpu_scenario.machine.errors.KvmError`."""

from __future__ import annotations

import ctypes
import fcntl
from typing import Any, TypeAlias

from vcpu_scenario.kvm.plainioctls import Request
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


def ask(fd: int, request: Request, argument: int, what: str) -> int:
    """``request`` with its number, or with its structure as a little-endian number: what it
    returns, or the structure where it fills that."""
    if not request.size:
        return call(fd, request.number, argument, what)
    stored = (ctypes.c_uint8 * request.size)(*argument.to_bytes(request.size, "little"))
    returned = call(fd, request.number, stored, what)
    return int.from_bytes(bytes(stored), "little") if request.fills else returned


def refusal(error: OSError, what: str) -> KvmError:
    return KvmError(error.errno or 0, what)

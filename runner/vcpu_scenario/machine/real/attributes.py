"""Device attributes of a VM, a vCPU or a device (``Documentation/virt/kvm/devices``)."""

from __future__ import annotations

import ctypes
import errno
from typing import Any

from vcpu_scenario.machine.errors import KvmError, Lacking
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call


def set_known(fd: int, group: int, attr: int, value: Any, name: str) -> None:
    """Sets an attribute; raises :class:`Lacking` where the kernel does not have it at all."""
    request = uapi.kvm_device_attr(group=group, attr=attr, addr=ctypes.addressof(value))
    try:
        call(fd, uapi.KVM_HAS_DEVICE_ATTR, request, name)
    except KvmError:
        try:
            call(fd, uapi.KVM_SET_DEVICE_ATTR, request, name)
        except KvmError as refused:
            raise Lacking(refused.errno, name) from None
    else:
        call(fd, uapi.KVM_SET_DEVICE_ATTR, request, name)


def ask(fd: int, ioctl: int, where: tuple[int, int], value: Any, what: str) -> None:
    """One of the three ioctls; a ``value`` of None has no address."""
    if fd < 0:  # which no ioctl of Python's takes
        raise KvmError(errno.EBADF, what)
    address = 0 if value is None else ctypes.addressof(value)
    call(fd, ioctl, uapi.kvm_device_attr(group=where[0], attr=where[1], addr=address), what)

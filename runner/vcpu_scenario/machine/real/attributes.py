"""Device attributes of a VM, a vCPU or a device (``Documentation/virt/kvm/devices``)."""

from __future__ import annotations

import ctypes
from typing import Any

from vcpu_scenario.machine.errors import KvmError, Lacking
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call


def set_known(fd: int, group: int, attr: int, value: Any, name: str) -> None:
    """Sets an attribute; raises :class:`Lacking` where the kernel does not have it at all."""
    request = _request(group, attr, value)
    try:
        call(fd, uapi.KVM_HAS_DEVICE_ATTR, request, name)
    except KvmError:
        try:
            call(fd, uapi.KVM_SET_DEVICE_ATTR, request, name)
        except KvmError as refused:
            raise Lacking(refused.errno, name) from None
    else:
        call(fd, uapi.KVM_SET_DEVICE_ATTR, request, name)


def set_attribute(fd: int, group: int, attr: int, value: Any, what: str) -> None:
    call(fd, uapi.KVM_SET_DEVICE_ATTR, _request(group, attr, value), what)


def get_attribute(fd: int, group: int, attr: int, value: Any, what: str) -> None:
    """Reads into ``value``."""
    call(fd, uapi.KVM_GET_DEVICE_ATTR, _request(group, attr, value), what)


def has_attribute(fd: int, group: int, attr: int, what: str) -> None:
    call(fd, uapi.KVM_HAS_DEVICE_ATTR, _request(group, attr, None), what)


def _request(group: int, attr: int, value: Any) -> uapi.kvm_device_attr:
    address = ctypes.addressof(value) if value is not None else 0
    return uapi.kvm_device_attr(group=group, attr=attr, addr=address)

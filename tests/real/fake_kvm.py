"""Stands in for the kernel: takes the ioctls, remembers them, and refuses what it is told to."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from vcpu_scenario.machine.real import uapi

NAMES = {
    value: name
    for name, value in vars(uapi).items()
    if name.startswith("KVM_") and isinstance(value, int) and value >> 8 & 0xFF == uapi.KVMIO
}
PAGES = 2


class FakeKvm:
    """``asked`` holds (name, argument) of each ioctl, structures as dictionaries."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.refuses: dict[str, int] = {}
        self.does: dict[str, Callable[[Any], int]] = {
            "KVM_GET_API_VERSION": lambda _: 12,
            "KVM_GET_VCPU_MMAP_SIZE": lambda _: PAGES * os.sysconf("SC_PAGESIZE"),
            "KVM_CREATE_VM": lambda _: self._file(),
            "KVM_CREATE_VCPU": lambda _: self._file(),
            "KVM_CREATE_DEVICE": self._create_device,
        }

    def ioctl(self, fd: int, request: int, argument: Any = 0) -> int:
        name = NAMES[request]
        self.asked.append((name, self._remembered(name, argument)))
        if (number := self.refuses.get(name)) is not None:
            raise OSError(number, os.strerror(number))
        return self.does.get(name, lambda _: 0)(argument)

    def of(self, name: str) -> list[Any]:
        return [argument for asked, argument in self.asked if asked == name]

    def _remembered(self, name: str, argument: Any) -> Any:
        if not isinstance(argument, ctypes.Structure):
            return argument
        fields = {field[0]: getattr(argument, field[0]) for field in argument._fields_}
        if name == "KVM_SET_DEVICE_ATTR" and fields["addr"]:
            kind = ctypes.c_uint64 if fields["group"] == 0 else ctypes.c_uint32
            fields["value"] = kind.from_address(fields.pop("addr")).value
        if name == "KVM_SET_ONE_REG":
            fields["value"] = ctypes.c_uint64.from_address(fields.pop("addr")).value
        return fields

    def _file(self) -> int:
        fd = os.memfd_create("kvm", os.MFD_CLOEXEC)
        os.ftruncate(fd, PAGES * os.sysconf("SC_PAGESIZE"))
        return fd

    def _create_device(self, argument: Any) -> int:
        argument.fd = self._file()
        return 0

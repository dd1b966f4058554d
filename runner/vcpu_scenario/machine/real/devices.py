"""The devices of a VM (``Documentation/virt/kvm/devices/arm-vgic*``), and their attributes."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Literal, TypeAlias

from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.devices import CreateDevice
from vcpu_scenario.kvm import vgicattrs as v
from vcpu_scenario.kvm.attributes import said, size_of
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.machine.real import attributes, uapi
from vcpu_scenario.machine.real.ioctls import call

_TYPES: Final = {2: v.KVM_DEV_TYPE_ARM_VGIC_V2, 3: v.KVM_DEV_TYPE_ARM_VGIC_V3}
_NO_FILE: Final = -1
_Place: TypeAlias = "ctypes.Array[ctypes.c_uint8]"


class Devices:
    """Their files. ``vcpu`` gives that of the vCPU whose turn it is."""

    def __init__(self, vm: int, vcpu: Callable[[], int], resources: ExitStack) -> None:
        self._vm: Final = vm
        self._vcpu: Final = vcpu
        self._resources: Final = resources
        self._vgic = _NO_FILE
        self._itses: Final[list[int]] = []

    def create(self, asked: CreateDevice) -> None:
        flags = uapi.KVM_CREATE_DEVICE_TEST if asked.test else 0
        file = self._create(asked.type, flags, f"KVM_CREATE_DEVICE {asked.type}")
        if asked.test:
            return
        if asked.type == v.KVM_DEV_TYPE_ARM_VGIC_ITS:
            self._itses.append(file)
        else:
            self._vgic = file

    def create_vgic(self, version: Literal[2, 3]) -> None:
        try:
            self._vgic = self._create(_TYPES[version], 0, f"vgic-v{version}")
        except KvmError as refused:
            if refused.errno != errno.ENODEV:
                raise
            raise Unsupported(f"this host's GIC cannot run a vGICv{version}") from None

    def _create(self, type_: int, flags: int, what: str) -> int:
        """The device's file; one on trial has none."""
        device = uapi.kvm_create_device(type=type_, flags=flags)
        call(self._vm, uapi.KVM_CREATE_DEVICE, device, what)
        if flags:
            return _NO_FILE
        self._resources.callback(os.close, device.fd)
        return int(device.fd)

    def set(self, which: DeviceAttr, value: int | None) -> None:
        self._ask(uapi.KVM_SET_DEVICE_ATTR, which, None if value is None else _place(which, value))

    def get(self, which: DeviceAttr, given: int = 0) -> int:
        place = _place(which, given)
        self._ask(uapi.KVM_GET_DEVICE_ATTR, which, place)
        return int.from_bytes(bytes(place), "little")

    def has(self, which: DeviceAttr) -> None:
        self._ask(uapi.KVM_HAS_DEVICE_ATTR, which, None)

    def _ask(self, ioctl: int, which: DeviceAttr, place: _Place | None) -> None:
        where = which.group, which.attr
        attributes.ask(self._file_of(which), ioctl, where, place, said(which))

    def _file_of(self, which: DeviceAttr) -> int:
        if which.of == "vcpu":
            return self._vcpu()
        if which.of == "vgic":
            return self._vgic
        return self._itses[which.number] if which.number < len(self._itses) else _NO_FILE


def _place(which: DeviceAttr, value: int) -> _Place:
    size = size_of(which)
    return (ctypes.c_uint8 * size).from_buffer_copy(value.to_bytes(size, "little"))

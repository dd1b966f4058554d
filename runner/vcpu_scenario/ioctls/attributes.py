"""The attributes of devices and of vCPUs."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Holder: TypeAlias = Literal["vgic", "vcpu", "its"]
"""What has attributes: the vGIC, the vCPU whose turn it is, an ITS."""


class DeviceAttr(Struct, frozen=True):
    """Which attribute of what (``struct kvm_device_attr``). ``number`` counts the ITSs of the VM as
    they were created, from 0."""

    of: Holder
    group: int
    attr: int = 0
    number: int = 0


class SetDeviceAttr(Struct, frozen=True):
    """``KVM_SET_DEVICE_ATTR``; ``value`` None hands no address over."""

    which: DeviceAttr
    value: int | None = None


class GetDeviceAttr(Struct, frozen=True):
    """``KVM_GET_DEVICE_ATTR``: ``value`` is what is expected, None for any; ``given`` is what the
    kernel finds where it writes the value to."""

    which: DeviceAttr
    value: int | None = None
    given: int = 0


class HasDeviceAttr(Struct, frozen=True):
    """``KVM_HAS_DEVICE_ATTR``."""

    which: DeviceAttr


AttrIoctl: TypeAlias = SetDeviceAttr | GetDeviceAttr | HasDeviceAttr

"""Creates the in-kernel interrupt controllers (``Documentation/virt/kvm/devices/arm-vgic*``)."""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from vcpu_scenario.case import Gic
from vcpu_scenario.ioctls.devices import CreateDevice
from vcpu_scenario.kvm import vgicattrs as v
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call

NR_IRQS: Final = 64
"""SGIs, PPIs and 32 SPIs: the fewest the device takes, hence GICD_TYPER.ITLinesNumber 1."""

_TYPES: Final = {2: v.KVM_DEV_TYPE_ARM_VGIC_V2, 3: v.KVM_DEV_TYPE_ARM_VGIC_V3}


def create(vm: int, version: int) -> int:
    """The file descriptor of a vGIC that has nothing but its version.

    Raises :class:`Unsupported` where the host's own GIC cannot serve that version.
    """
    device = uapi.kvm_create_device(type=_TYPES[version])
    try:
        call(vm, uapi.KVM_CREATE_DEVICE, device, f"vgic-v{version}")
    except KvmError as refused:
        if refused.errno != errno.ENODEV:
            raise
        raise Unsupported(f"this host's GIC cannot run a vGICv{version}") from None
    return int(device.fd)


def create_device(vm: int, asked: CreateDevice) -> int:
    """The file descriptor of a device, or -1 for one on trial, which has none."""
    flags = uapi.KVM_CREATE_DEVICE_TEST if asked.test else 0
    device = uapi.kvm_create_device(type=asked.type, flags=flags)
    call(vm, uapi.KVM_CREATE_DEVICE, device, f"KVM_CREATE_DEVICE {asked.type}")
    return -1 if asked.test else int(device.fd)


def set_up(device: int, gic: Gic) -> None:
    """Its addresses, the number of its interrupts and its initialisation. The VM's vCPUs must
    exist."""
    for kind, address in _addresses(gic):
        set_attribute(device, v.KVM_DEV_ARM_VGIC_GRP_ADDR, kind, address)
    set_attribute(device, v.KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, NR_IRQS)
    set_attribute(device, v.KVM_DEV_ARM_VGIC_GRP_CTRL, v.KVM_DEV_ARM_VGIC_CTRL_INIT, None)


def set_attribute(
    device: int, group: int, attr: int, value: int | None, what: str | None = None
) -> None:
    """``what`` is how an attribute that is no vGIC's is said."""
    stored = None if value is None else _place(group, value)
    _attribute(device, uapi.KVM_SET_DEVICE_ATTR, (group, attr), stored, what)


def get_attribute(device: int, group: int, attr: int, given: int, what: str | None = None) -> int:
    stored = _place(group, given)
    _attribute(device, uapi.KVM_GET_DEVICE_ATTR, (group, attr), stored, what)
    return int.from_bytes(bytes(stored), "little")


def has_attribute(device: int, group: int, attr: int, what: str | None = None) -> None:
    _attribute(device, uapi.KVM_HAS_DEVICE_ATTR, (group, attr), None, what)


def _place(group: int, value: int) -> ctypes.Array[ctypes.c_uint8]:
    size = v.size_of(group)
    return (ctypes.c_uint8 * size).from_buffer_copy(value.to_bytes(size, "little"))


def _attribute(
    device: int,
    request: int,
    attribute: tuple[int, int],
    stored: ctypes.Array[ctypes.c_uint8] | None,
    what: str | None,
) -> None:
    what = what or f"vgic {v.said(*attribute)}"
    if device < 0:  # which no ioctl of Python's takes
        raise KvmError(errno.EBADF, what)
    address = 0 if stored is None else ctypes.addressof(stored)
    asked = uapi.kvm_device_attr(group=attribute[0], attr=attribute[1], addr=address)
    call(device, request, asked, what)


def _addresses(gic: Gic) -> list[tuple[int, int]]:
    if gic.version == 2:
        return [(v.KVM_VGIC_V2_ADDR_TYPE_DIST, gic.dist), (v.KVM_VGIC_V2_ADDR_TYPE_CPU, gic.cpu)]
    return [(v.KVM_VGIC_V3_ADDR_TYPE_DIST, gic.dist), (v.KVM_VGIC_V3_ADDR_TYPE_REDIST, gic.redist)]

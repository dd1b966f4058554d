"""Creates the in-kernel interrupt controllers (``Documentation/virt/kvm/devices/arm-vgic*``)."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any, Final

from vcpu_scenario.case import Gic
from vcpu_scenario.machine.interface import KvmError, Unsupported
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call

NR_IRQS: Final = 64
"""SGIs, PPIs and 32 SPIs: the fewest the device takes, hence GICD_TYPER.ITLinesNumber 1."""


def create(vm: int, gic: Gic) -> None:
    """A vGIC with its addresses, initialised. The VM's vCPUs must exist.

    Raises :class:`Unsupported` where the host's own GIC cannot serve that version.
    """
    device_type, addresses = _VERSIONS[gic.version]
    device = uapi.kvm_create_device(type=device_type)
    try:
        call(vm, uapi.KVM_CREATE_DEVICE, device, f"vgic-v{gic.version}")
    except KvmError as refused:
        if refused.errno != errno.ENODEV:
            raise
        raise Unsupported(f"this host's GIC cannot run a vGICv{gic.version}") from None
    try:
        for kind, address in addresses(gic):
            _set(device.fd, uapi.KVM_DEV_ARM_VGIC_GRP_ADDR, kind, ctypes.c_uint64(address))
        _set(device.fd, uapi.KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, ctypes.c_uint32(NR_IRQS))
        _set(device.fd, uapi.KVM_DEV_ARM_VGIC_GRP_CTRL, uapi.KVM_DEV_ARM_VGIC_CTRL_INIT, None)
    finally:
        os.close(device.fd)  # the VM keeps the device itself


def _set(device: int, group: int, attr: int, value: Any) -> None:
    address = ctypes.addressof(value) if value is not None else 0
    request = uapi.kvm_device_attr(group=group, attr=attr, addr=address)
    call(device, uapi.KVM_SET_DEVICE_ATTR, request, f"vgic group {group} attr {attr}")


def _v2_addresses(gic: Gic) -> list[tuple[int, int]]:
    return [
        (uapi.KVM_VGIC_V2_ADDR_TYPE_DIST, gic.dist),
        (uapi.KVM_VGIC_V2_ADDR_TYPE_CPU, gic.cpu),
    ]


def _v3_addresses(gic: Gic) -> list[tuple[int, int]]:
    return [
        (uapi.KVM_VGIC_V3_ADDR_TYPE_DIST, gic.dist),
        (uapi.KVM_VGIC_V3_ADDR_TYPE_REDIST, gic.redist),
    ]


_Addresses = Callable[[Gic], list[tuple[int, int]]]

_VERSIONS: Final[dict[int, tuple[int, _Addresses]]] = {
    2: (uapi.KVM_DEV_TYPE_ARM_VGIC_V2, _v2_addresses),
    3: (uapi.KVM_DEV_TYPE_ARM_VGIC_V3, _v3_addresses),
}

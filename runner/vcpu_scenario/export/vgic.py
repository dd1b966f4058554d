"""The vGIC's device attributes and irqfds, in C: each call an expression."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.case import Action
from vcpu_scenario.export.names import Names
from vcpu_scenario.ioctls.attributes import GetDeviceAttr, HasDeviceAttr, SetDeviceAttr
from vcpu_scenario.ioctls.devices import (
    CreateDevice,
    CreateVgic,
    Irqfd,
    ReadResamples,
    RemoveIrqfd,
    SetGsiRouting,
    SignalIrqfd,
    SignalMsi,
)
from vcpu_scenario.kvm import vgicattrs as attrs

OF_IRQFDS: Final = (Irqfd, RemoveIrqfd, SignalIrqfd, ReadResamples)

_DEVICES: Final = {
    attrs.KVM_DEV_TYPE_ARM_VGIC_V2: "KVM_DEV_TYPE_ARM_VGIC_V2",
    attrs.KVM_DEV_TYPE_ARM_VGIC_V3: "KVM_DEV_TYPE_ARM_VGIC_V3",
    attrs.KVM_DEV_TYPE_ARM_VGIC_ITS: "KVM_DEV_TYPE_ARM_VGIC_ITS",
}


def is_of_vgic(action: Action) -> bool:
    """Whether it is about the vGIC's file."""
    if isinstance(action, SetDeviceAttr | GetDeviceAttr | HasDeviceAttr):
        return action.which.of == "vgic"
    return isinstance(action, CreateVgic)


def create(action: CreateVgic, names: Names) -> str:
    return f"new_vgic(KVM_DEV_TYPE_ARM_VGIC_V{action.version})"


def create_device(action: CreateDevice, names: Names) -> str:
    flags = "KVM_CREATE_DEVICE_TEST" if action.test else "0"
    return f"create_device({_DEVICES.get(action.type, str(action.type))}, {flags})"


def _msi(address: int, data: int, device: int | None) -> str:
    flags = "0" if device is None else "KVM_MSI_VALID_DEVID"
    return f"{address:#x}, {data:#x}, {flags}, {device or 0:#x}"


def signal_msi(action: SignalMsi, names: Names) -> str:
    return f"signal_msi({_msi(action.address, action.data, action.device)})"


def route(action: SetGsiRouting, names: Names) -> str:
    count = len(action.routes) + len(action.msis)
    if not count:
        return "set_gsi_routing(NULL, 0)"
    pins = (f"{{ .gsi = {gsi}, .pin = {pin} }}" for gsi, pin in action.routes)
    msis = (f"{{ {msi[0]}, 1, 0, {_msi(*msi[1:])} }}" for msi in action.msis)
    routes = ",\n\t\t".join((*pins, *msis))
    return f"set_gsi_routing((struct route[]) {{\n\t\t{routes}\n\t}}, {count})"


def irqfd(action: Irqfd, names: Names) -> str:
    flags = "KVM_IRQFD_FLAG_RESAMPLE" if action.resample else "0"
    return f"add_irqfd({action.gsi}, {flags})"


def signal(action: SignalIrqfd, names: Names) -> list[str]:
    return [f"signal_irqfd({action.gsi});"]


def read_resamples(action: ReadResamples, names: Names) -> list[str]:
    if action.count is None:
        return [f"resamples({action.gsi});"]
    return [f"expect_resamples({action.gsi}, {action.count});"]

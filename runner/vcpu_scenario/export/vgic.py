"""The vGIC's device attributes and irqfds, in C: each call an expression."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.export.names import Names
from vcpu_scenario.ioctls.devices import (
    CreateDevice,
    CreateVgic,
    GetItsAttr,
    GetVgicAttr,
    HasItsAttr,
    HasVgicAttr,
    Irqfd,
    ReadResamples,
    RemoveIrqfd,
    SetGsiRouting,
    SetItsAttr,
    SetVgicAttr,
    SignalIrqfd,
    SignalMsi,
)
from vcpu_scenario.kvm import vgicattrs as attrs

OF_VGIC: Final = (CreateVgic, SetVgicAttr, GetVgicAttr, HasVgicAttr)
OF_IRQFDS: Final = (Irqfd, RemoveIrqfd, SignalIrqfd, ReadResamples)

_WIDTH: Final = 50
_TYPES: Final = {4: "uint32_t", 8: "uint64_t"}
_ADDRESSES: Final = {
    attrs.KVM_VGIC_V2_ADDR_TYPE_DIST: "KVM_VGIC_V2_ADDR_TYPE_DIST",
    attrs.KVM_VGIC_V2_ADDR_TYPE_CPU: "KVM_VGIC_V2_ADDR_TYPE_CPU",
    attrs.KVM_VGIC_V3_ADDR_TYPE_DIST: "KVM_VGIC_V3_ADDR_TYPE_DIST",
    attrs.KVM_VGIC_V3_ADDR_TYPE_REDIST: "KVM_VGIC_V3_ADDR_TYPE_REDIST",
    attrs.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: "KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION",
}
_DEVICES: Final = {
    attrs.KVM_DEV_TYPE_ARM_VGIC_V2: "KVM_DEV_TYPE_ARM_VGIC_V2",
    attrs.KVM_DEV_TYPE_ARM_VGIC_V3: "KVM_DEV_TYPE_ARM_VGIC_V3",
    attrs.KVM_DEV_TYPE_ARM_VGIC_ITS: "KVM_DEV_TYPE_ARM_VGIC_ITS",
}
_CONTROLS: Final = {
    attrs.KVM_DEV_ARM_VGIC_CTRL_INIT: "KVM_DEV_ARM_VGIC_CTRL_INIT",
    attrs.KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES: "KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES",
}
_ITS_CONTROLS: Final = {
    attrs.KVM_DEV_ARM_VGIC_CTRL_INIT: "KVM_DEV_ARM_VGIC_CTRL_INIT",
    attrs.KVM_DEV_ARM_ITS_SAVE_TABLES: "KVM_DEV_ARM_ITS_SAVE_TABLES",
    attrs.KVM_DEV_ARM_ITS_RESTORE_TABLES: "KVM_DEV_ARM_ITS_RESTORE_TABLES",
    attrs.KVM_DEV_ARM_ITS_CTRL_RESET: "KVM_DEV_ARM_ITS_CTRL_RESET",
}
_ITS_WORDS: Final = {
    attrs.KVM_DEV_ARM_VGIC_GRP_ADDR: {attrs.KVM_VGIC_ITS_ADDR_TYPE: "KVM_VGIC_ITS_ADDR_TYPE"},
    attrs.KVM_DEV_ARM_VGIC_GRP_CTRL: _ITS_CONTROLS,
}
_WORDS: Final = {
    attrs.KVM_DEV_ARM_VGIC_GRP_ADDR: _ADDRESSES,
    attrs.KVM_DEV_ARM_VGIC_GRP_CTRL: _CONTROLS,
}


def _where(group: int, attr: int) -> str:
    """Group and attribute, by the names that the kernel's headers have for them."""
    known = attrs.group_of(group)
    name = str(group) if known is None else f"KVM_DEV_ARM_VGIC_GRP_{known.name.upper()}"
    return f"{name}, {_WORDS.get(group, {}).get(attr, f'{attr:#x}')}"


def call(name: str, where: str, value: str) -> str:
    """A call, broken where it is long, to be begun in a line that has a name and a bracket."""
    long = len(name) + len(where) + len(value) > _WIDTH
    between = "\n\t\t" if long else " "
    return f"{name}({where},{between}{value})"


def create(action: CreateVgic, names: Names) -> str:
    return f"new_vgic(KVM_DEV_TYPE_ARM_VGIC_V{action.version})"


def set_attr(action: SetVgicAttr, names: Names) -> str:
    kind = _TYPES[attrs.size_of(action.group)]
    value = "NULL" if action.value is None else f"&({kind}){{ {action.value:#x} }}"
    return call("vgic_set", _where(action.group, action.attr), value)


def get_attr(action: GetVgicAttr, names: Names) -> str:
    return call("vgic_get", _where(action.group, action.attr), f"{action.given:#x}")


def has_attr(action: HasVgicAttr, names: Names) -> str:
    return f"vgic_has({_where(action.group, action.attr)})"


def create_device(action: CreateDevice, names: Names) -> str:
    flags = "KVM_CREATE_DEVICE_TEST" if action.test else "0"
    return f"create_device({_DEVICES.get(action.type, str(action.type))}, {flags})"


def _of_its(action: SetItsAttr | GetItsAttr | HasItsAttr) -> str:
    """Which ITS, its group and attribute."""
    known = attrs.its_groups().values()
    group = next((one.name.upper() for one in known if one.number == action.group), None)
    name = str(action.group) if group is None else f"KVM_DEV_ARM_VGIC_GRP_{group}"
    attr = _ITS_WORDS.get(action.group, {}).get(action.attr, f"{action.attr:#x}")
    return f"{action.its}, {name}, {attr}"


def set_its(action: SetItsAttr, names: Names) -> str:
    value = "NULL" if action.value is None else f"&(uint64_t){{ {action.value:#x} }}"
    return call("its_set", _of_its(action), value)


def get_its(action: GetItsAttr, names: Names) -> str:
    return f"its_get({_of_its(action)})"


def has_its(action: HasItsAttr, names: Names) -> str:
    return f"its_has({_of_its(action)})"


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

"""The attributes of devices and of the vCPU, in C: each call an expression."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.export.names import Names
from vcpu_scenario.export.text import call
from vcpu_scenario.ioctls.attributes import DeviceAttr, GetDeviceAttr, HasDeviceAttr, SetDeviceAttr
from vcpu_scenario.kvm import vcpuattrs, vgicattrs
from vcpu_scenario.kvm.attributes import group_of, size_of

_TYPES: Final = {4: "uint32_t", 8: "uint64_t"}
_FILES: Final = {"vgic": "vgic_fd", "vcpu": "vcpu_fd"}
_NAMES: Final = {
    ("vgic", "addr"): """
        KVM_VGIC_V2_ADDR_TYPE_DIST KVM_VGIC_V2_ADDR_TYPE_CPU KVM_VGIC_V3_ADDR_TYPE_DIST
        KVM_VGIC_V3_ADDR_TYPE_REDIST KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION""",
    ("vgic", "ctrl"): "KVM_DEV_ARM_VGIC_CTRL_INIT KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES",
    ("its", "addr"): "KVM_VGIC_ITS_ADDR_TYPE",
    ("its", "ctrl"): """
        KVM_DEV_ARM_VGIC_CTRL_INIT KVM_DEV_ARM_ITS_SAVE_TABLES KVM_DEV_ARM_ITS_RESTORE_TABLES
        KVM_DEV_ARM_ITS_CTRL_RESET""",
    ("vcpu", "pmu_v3"): "KVM_ARM_VCPU_PMU_V3_IRQ KVM_ARM_VCPU_PMU_V3_INIT",
}
"""Of a group the attributes that all headers have, by their constants."""
_NUMBERS: Final = vars(vgicattrs) | vars(vcpuattrs)


def _where(which: DeviceAttr) -> tuple[str, str, str]:
    """File, group and attribute, by the names that the kernel's headers have for them."""
    file = _FILES.get(which.of, f"its_fds[{which.number}]")
    group = group_of(which)
    known = "" if group is None else _NAMES.get((which.of, group.name), "")
    names = {_NUMBERS[name]: name for name in known.split()}
    return file, _group(which), names.get(which.attr, f"{which.attr:#x}")


def _group(which: DeviceAttr) -> str:
    group = group_of(which)
    if group is None:
        return str(which.group)
    if which.of != "vcpu":
        return f"KVM_DEV_ARM_VGIC_GRP_{group.name.upper()}"
    return "KVM_ARM_VCPU_PMU_V3_CTRL" if group.name == "pmu_v3" else str(which.group)


def set_attr(action: SetDeviceAttr, names: Names) -> str:
    kind = _TYPES[size_of(action.which)]
    value = "NULL" if action.value is None else f"&({kind}){{ {action.value:#x} }}"
    return call("set_attr", *_where(action.which), value)


def get_attr(action: GetDeviceAttr, names: Names) -> str:
    return call("get_attr", *_where(action.which), f"{action.given:#x}")


def has_attr(action: HasDeviceAttr, names: Names) -> str:
    return call("has_attr", *_where(action.which))

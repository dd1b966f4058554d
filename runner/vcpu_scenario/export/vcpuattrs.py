"""The device attributes of a vCPU, in C: each call an expression."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.export.names import Names
from vcpu_scenario.export.vgic import call
from vcpu_scenario.ioctls.devices import GetVcpuAttr, HasVcpuAttr, SetVcpuAttr
from vcpu_scenario.kvm import vcpuattrs as attrs

_WORDS: Final = {
    attrs.KVM_ARM_VCPU_PMU_V3_IRQ: "KVM_ARM_VCPU_PMU_V3_IRQ",
    attrs.KVM_ARM_VCPU_PMU_V3_INIT: "KVM_ARM_VCPU_PMU_V3_INIT",
}
"""Those that all headers have."""


def _where(group: int, attr: int) -> str:
    if group != attrs.KVM_ARM_VCPU_PMU_V3_CTRL:
        return f"{group}, {attr:#x}"
    return f"KVM_ARM_VCPU_PMU_V3_CTRL, {_WORDS.get(attr, f'{attr:#x}')}"


def set_attr(action: SetVcpuAttr, names: Names) -> str:
    value = "NULL" if action.value is None else f"&(uint64_t){{ {action.value:#x} }}"
    return call("vcpu_attr_set", _where(action.group, action.attr), value)


def get_attr(action: GetVcpuAttr, names: Names) -> str:
    return f"vcpu_attr_get({_where(action.group, action.attr)})"


def has_attr(action: HasVcpuAttr, names: Names) -> str:
    return f"vcpu_attr_has({_where(action.group, action.attr)})"

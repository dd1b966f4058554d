"""How a scenario says which attribute it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vcpu_scenario.actions.kind import Node, Reader, number, of
from vcpu_scenario.ioctls.attributes import DeviceAttr, Holder
from vcpu_scenario.kvm.attributes import GROUPS, group_of, parts_of
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT, VCPUS_MOST, Group

_WORD: Final = 0xFFFF_FFFF
_HIGH: Final = (1 << 64) - 1
_ITSES_MOST: Final = 16
"""ITSs that a scenario may name."""


def read_which(holder: Holder, asked: Mapping[str, Node], reader: Reader) -> DeviceAttr:
    def value(key: str, high: int) -> int:
        return reader.number(asked[key], low=0, high=high) if key in asked else 0

    groups, its = GROUPS[holder], value("its", _ITSES_MOST - 1)
    group = groups.get(reader.text(asked["group"])) if "group" in asked else None
    if group is None:
        number_ = value("group", _WORD)
        refused = not number_ and "group" in asked and not _is_zero(reader.text(asked["group"]))
        attr = 0 if refused else value("attr", _HIGH)  # of what is no group no attribute is told
        return DeviceAttr(holder, number_, attr, its)
    attribute, vcpu = _attribute_of(group, asked.get("attr"), reader), value("vcpu", VCPUS_MOST - 1)
    if "vcpu" in asked and not group.of_vcpu:
        reader.complain(
            "no attribute of this group is a vCPU's",
            asked["vcpu"],
            found=group.name,
            expected=", ".join(each.name for each in groups.values() if each.of_vcpu),
        )
    return DeviceAttr(holder, group.number, attribute | vcpu << VCPU_SHIFT, its)


def _is_zero(text: str) -> bool:
    return not text.strip("0xX_")


def _attribute_of(group: Group, node: Node | None, reader: Reader) -> int:
    if node is None:
        return 0
    name = reader.text(node)
    if name in group.attributes:
        return group.attributes[name]
    if name[:1].isalpha():
        few = ", ".join(list(group.attributes)[:6])
        reader.complain(
            f"{group.name} has no attribute of this name",
            node,
            found=name,
            expected=f"a number, or a name such as {few}" if few else "a number",
        )
        return 0
    return reader.number(node, low=0, high=_HIGH)


def write_which(which: DeviceAttr) -> dict[str, Any]:
    group, (vcpu, low) = group_of(which), parts_of(which)
    its = {"its": which.number} if which.number else {}
    if group is None:
        return its | {"group": which.group, "attr": which.attr}
    named = {"group": group.name, "attr": group.word_of(low) or low}
    return its | named | ({"vcpu": vcpu} if vcpu else {})


def which_schema(holder: Holder) -> dict[str, Any]:
    """What may stand at each key that says it."""
    groups = GROUPS[holder]
    names, prefix = list(groups), _PREFIXES[holder]
    keys: dict[str, Any] = {
        "group": {
            "description": f"{prefix}, or a number.",
            "title": f"one of {', '.join(names)}, or a number",
            "type": ["string", "integer"],
            "pattern": rf"^({'|'.join(names)})$|^(0[xX])?[0-9A-Fa-f]+$|\$\{{",
        },
        "attr": {
            **_ATTRIBUTES[holder],
            "type": ["string", "integer"],
            "pattern": r"^[A-Za-z0-9_]+$|\$\{",
        },
    }
    if any(group.of_vcpu for group in groups.values()):
        keys["vcpu"] = of("number", "Whose register it is, 0 to 15. Default: 0.", default=0)
    if holder == "its":
        order = "Which ITS, by the order in which they were created."
        keys["its"] = {**number(order), "default": 0}
    return keys


_OF_VGIC: Final = "KVM_DEV_ARM_VGIC_GRP_ and this name"
_PREFIXES: Final[Mapping[Holder, str]] = {
    "vgic": _OF_VGIC,
    "vcpu": "KVM_ARM_VCPU_ and this name and _CTRL",
    "its": _OF_VGIC,
}
"""What a group is called in full."""
_ATTRIBUTES: Final[Mapping[Holder, Mapping[str, str]]] = {
    "vgic": {
        "description": "The attribute: a number, or what it is called. A register is "
        "called as the architecture has it, GICD_CTLR or ICC_PMR_EL1; an address is one "
        "of v2_dist, v2_cpu, v3_dist, v3_redist, v3_redist_region; what ctrl does is init "
        "or save_pending_tables. Default: 0.",
        "title": "a number, or a name such as GICD_CTLR, v3_dist or init",
    },
    "vcpu": {
        "description": "The attribute: KVM_ARM_VCPU_, the group and this name in lower case, or a "
        "number. Of pmu_v3 irq, init, filter, set_pmu and set_nr_counters, of timer irq_vtimer, "
        "irq_ptimer, irq_hvtimer and irq_hptimer, of pvtime ipa. Default: 0.",
        "title": "a name such as init or irq_vtimer, or a number",
    },
    "its": {
        "description": "The attribute: a number, or what it is called. A register is called as the "
        "architecture has it, GITS_CTLR; the address is its; what ctrl does is init, save_tables, "
        "restore_tables or reset. Default: 0.",
        "title": "a number, or a name such as GITS_CTLR, its or save_tables",
    },
}

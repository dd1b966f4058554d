"""The vGIC as a device: KVM_CREATE_DEVICE, and its attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.attributes import (
    attribute_schema,
    check_found,
    read_attribute,
    setting,
    write_attribute,
)
from vcpu_scenario.actions.kind import Kind, Name, Node, Reader
from vcpu_scenario.ioctls.devices import CreateVgic, GetVgicAttr, HasVgicAttr, SetVgicAttr
from vcpu_scenario.kvm import vgicattrs
from vcpu_scenario.kvm.vgicattrs import Region
from vcpu_scenario.machine.interface import Machine

_GROUPS: Final = vgicattrs.groups()
_REGION: Final = vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
_VERSIONS: Final = {"vgic-v2": 2, "vgic-v3": 3}
_MODELS: Final = {version: model for model, version in _VERSIONS.items()}


# -- its value ------------------------------------------------------------------------------------


def _read_region(node: Node, reader: Reader) -> tuple[Region, bool]:
    """The region, and whether more of it is said than its index."""
    asked = dict(reader.entries(node))
    base = reader.word(asked["base"]) if "base" in asked else 0
    count, index, flags = (
        reader.number(asked[key], low=0, high=high) if key in asked else 0
        for key, high in (("count", 0xFFF), ("index", 0xFFF), ("flags", 0xF))
    )
    return Region(base, count, index, flags), len(asked) > ("index" in asked)


def _read_value(
    asked: dict[str, Node], reader: Reader, group: int, attr: int
) -> tuple[int | None, int]:
    """The value, None where there is none, and what a read finds in its place."""
    if "region" in asked:
        region, whole = _read_region(asked["region"], reader)
        is_place = (group, attr) == (vgicattrs.KVM_DEV_ARM_VGIC_GRP_ADDR, _REGION)
        if not is_place and {"group", "attr"} <= asked.keys():
            reader.complain(
                "only v3_redist_region of the group addr is a region",
                asked["region"],
                found=vgicattrs.said(group, attr),
                expected="value",
            )
        return region.value if whole else None, region.index
    bits = 8 * vgicattrs.size_of(group)
    return reader.word(asked["value"], bits) if "value" in asked else None, 0


def _write_value(group: int, attr: int, value: int | None, given: int = 0) -> dict[str, Any]:
    if (group, attr) == (vgicattrs.KVM_DEV_ARM_VGIC_GRP_ADDR, _REGION):
        if value is None:
            return {"region": {"index": given}} if given else {}
        region = Region.of(value)
        if region.value == value:
            every = {
                "base": region.base,
                "count": region.count,
                "index": region.index,
                "flags": region.flags,
            }
            needed = {
                key: value for key, value in every.items() if value or key in ("base", "count")
            }
            return {"region": needed}
    return {} if value is None else {"value": value}


# -- the actions ----------------------------------------------------------------------------------


def _read_set(key: str, node: Node, reader: Reader) -> Iterable[SetVgicAttr]:
    asked = dict(reader.entries(node))
    group, attr = read_attribute(_GROUPS, asked, reader)
    value, _ = _read_value(asked, reader, group, attr)
    yield SetVgicAttr(group, attr, value)


def _read_get(key: str, node: Node, reader: Reader) -> Iterable[GetVgicAttr]:
    asked = dict(reader.entries(node))
    group, attr = read_attribute(_GROUPS, asked, reader)
    yield GetVgicAttr(group, attr, *_read_value(asked, reader, group, attr))


def _read_has(key: str, node: Node, reader: Reader) -> Iterable[HasVgicAttr]:
    yield HasVgicAttr(*read_attribute(_GROUPS, dict(reader.entries(node)), reader))


def _write_set(action: SetVgicAttr) -> dict[str, Any]:
    where = write_attribute(_GROUPS, action.group, action.attr)
    return {"set_vgic_attr": where | _write_value(action.group, action.attr, action.value)}


def _write_get(action: GetVgicAttr) -> dict[str, Any]:
    where = write_attribute(_GROUPS, action.group, action.attr)
    value = _write_value(action.group, action.attr, action.value, action.given)
    return {"get_vgic_attr": where | value}


def _get(machine: Machine, action: GetVgicAttr) -> None:
    found = machine.get_vgic_attr(action.group, action.attr, action.given)
    check_found(found, action.value, vgicattrs.said(action.group, action.attr))


def _set_words(action: SetVgicAttr, name: Name) -> str:
    return setting(vgicattrs.said(action.group, action.attr), action.value)


def _region(description: str) -> dict[str, Any]:
    number = {"$ref": "#/definitions/number"}
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "base": {**number, "description": "Where it begins, a multiple of 64 KiB."},
            "count": {**number, "description": "How many redistributors it has room for."},
            "index": {**number, "description": "Its index. Default: 0.", "default": 0},
            "flags": {**number, "description": "Flags, of which there are none.", "default": 0},
        },
    }


def _attribute(description: str, **more: Any) -> dict[str, Any]:
    return attribute_schema(
        _GROUPS, "KVM_DEV_ARM_VGIC_GRP_ and this name", description, _ATTR, **more
    )


_ATTR: Final = {
    "description": "The attribute: a number, or what it is called. A register is "
    "called as the architecture has it, GICD_CTLR or ICC_PMR_EL1; an address is one "
    "of v2_dist, v2_cpu, v3_dist, v3_redist, v3_redist_region; what ctrl does is init "
    "or save_pending_tables. Default: 0.",
    "title": "a number, or a name such as GICD_CTLR, v3_dist or init",
}


KINDS: Final = (
    Kind(
        CreateVgic,
        schema={
            "create_vgic": {
                "description": "KVM_CREATE_DEVICE, and nothing more: its addresses, the number "
                "of its interrupts and its initialisation are left to set_vgic_attr. A host whose "
                "GIC cannot have such a vGIC skips the case.",
                "type": "string",
                "enum": list(_VERSIONS),
            }
        },
        read=lambda key, node, reader: [CreateVgic(_version(reader.text(node)))],
        write=lambda action: {"create_vgic": _MODELS[action.version]},
        perform=lambda machine, action: machine.create_vgic(action.version),
        words=lambda action, name: f"KVM_CREATE_DEVICE {_MODELS[action.version]}",
    ),
    Kind(
        SetVgicAttr,
        schema={
            "set_vgic_attr": _attribute(
                "KVM_SET_DEVICE_ATTR of the vGIC. Without a value the address of one is NULL.",
                value={"$ref": "#/definitions/number", "description": "What it is set to."},
                region=_region("What v3_redist_region is set to."),
            )
        },
        read=_read_set,
        write=_write_set,
        perform=lambda machine, action: machine.set_vgic_attr(
            action.group, action.attr, action.value
        ),
        words=_set_words,
    ),
    Kind(
        GetVgicAttr,
        schema={
            "get_vgic_attr": _attribute(
                "KVM_GET_DEVICE_ATTR of the vGIC.",
                value={
                    "$ref": "#/definitions/number_by_case",
                    "description": "What it is expected to be. Default: any value.",
                },
                region=_region("Which v3_redist_region, by its index, and what is expected of it."),
            )
        },
        read=_read_get,
        write=_write_get,
        perform=_get,
        words=lambda action, name: (
            f"KVM_GET_DEVICE_ATTR {vgicattrs.said(action.group, action.attr)}"
        ),
    ),
    Kind(
        HasVgicAttr,
        schema={
            "has_vgic_attr": _attribute(
                "KVM_HAS_DEVICE_ATTR of the vGIC, which succeeds where it has the attribute."
            )
        },
        read=_read_has,
        write=lambda action: {"has_vgic_attr": write_attribute(_GROUPS, action.group, action.attr)},
        perform=lambda machine, action: machine.has_vgic_attr(action.group, action.attr),
        words=lambda action, name: (
            f"KVM_HAS_DEVICE_ATTR {vgicattrs.said(action.group, action.attr)}"
        ),
    ),
)


def _version(model: str) -> Any:
    return _VERSIONS.get(model, 3)

"""The vGIC as a device: KVM_CREATE_DEVICE, and its attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader
from vcpu_scenario.ioctls import CreateVgic, GetVgicAttr, HasVgicAttr, SetVgicAttr
from vcpu_scenario.kvm import vgicattrs
from vcpu_scenario.kvm.vgicattrs import Group, Region
from vcpu_scenario.machine.interface import Machine, Unexpected

_LOW: Final = (1 << vgicattrs.VCPU_SHIFT) - 1
_HIGH: Final = (1 << 64) - 1
_REGION: Final = vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
_VERSIONS: Final = {"vgic-v2": 2, "vgic-v3": 3}
_MODELS: Final = {version: model for model, version in _VERSIONS.items()}


# -- which attribute ------------------------------------------------------------------------------


def _read_attribute(asked: dict[str, Node], reader: Reader) -> tuple[int, int]:
    """The group and the attribute, as ``kvm_device_attr`` has them."""
    group = vgicattrs.groups().get(reader.text(asked["group"])) if "group" in asked else None
    if group is None:
        return reader.number(asked["group"], low=0, high=0xFFFF_FFFF) if "group" in asked else 0, (
            reader.number(asked["attr"], low=0, high=_HIGH) if "attr" in asked else 0
        )
    attribute = _attribute_of(group, asked.get("attr"), reader)
    if "vcpu" in asked:
        vcpu = reader.number(asked["vcpu"], low=0, high=vgicattrs.VCPUS_MOST - 1)
        if not group.of_vcpu:
            reader.complain(
                "no attribute of this group is a vCPU's",
                asked["vcpu"],
                found=group.name,
                expected=", ".join(
                    each.name for each in vgicattrs.groups().values() if each.of_vcpu
                ),
            )
        attribute |= vcpu << vgicattrs.VCPU_SHIFT
    return group.number, attribute


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


def _write_attribute(number: int, attribute: int) -> dict[str, Any]:
    group = vgicattrs.group_of(number)
    if group is None:
        return {"group": number, "attr": attribute}
    vcpu, low = attribute >> vgicattrs.VCPU_SHIFT, attribute & _LOW
    if not group.of_vcpu or vcpu >= vgicattrs.VCPUS_MOST:
        vcpu, low = 0, attribute
    written: dict[str, Any] = {"group": group.name, "attr": group.word_of(low) or low}
    return written | ({"vcpu": vcpu} if vcpu else {})


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
        if (group, attr) != (vgicattrs.KVM_DEV_ARM_VGIC_GRP_ADDR, _REGION):
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
    group, attr = _read_attribute(asked, reader)
    value, _ = _read_value(asked, reader, group, attr)
    yield SetVgicAttr(group, attr, value)


def _read_get(key: str, node: Node, reader: Reader) -> Iterable[GetVgicAttr]:
    asked = dict(reader.entries(node))
    group, attr = _read_attribute(asked, reader)
    yield GetVgicAttr(group, attr, *_read_value(asked, reader, group, attr))


def _read_has(key: str, node: Node, reader: Reader) -> Iterable[HasVgicAttr]:
    yield HasVgicAttr(*_read_attribute(dict(reader.entries(node)), reader))


def _write_set(action: SetVgicAttr) -> dict[str, Any]:
    where = _write_attribute(action.group, action.attr)
    return {"set_vgic_attr": where | _write_value(action.group, action.attr, action.value)}


def _write_get(action: GetVgicAttr) -> dict[str, Any]:
    where = _write_attribute(action.group, action.attr)
    value = _write_value(action.group, action.attr, action.value, action.given)
    return {"get_vgic_attr": where | value}


def _get(machine: Machine, action: GetVgicAttr) -> None:
    found = machine.get_vgic_attr(action.group, action.attr, action.given)
    if action.value is not None and found != action.value:
        what = f"KVM_GET_DEVICE_ATTR {vgicattrs.said(action.group, action.attr)}"
        raise Unexpected(f"{what} gave {found:#x}, expected {action.value:#x}")


def _set_words(action: SetVgicAttr, name: Name) -> str:
    what = f"KVM_SET_DEVICE_ATTR {vgicattrs.said(action.group, action.attr)}"
    return what if action.value is None else f"{what} = {action.value:#x}"


def _attribute(description: str, **more: Any) -> dict[str, Any]:
    names = list(vgicattrs.groups())
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": ["group"],
        "properties": {
            "group": {
                "description": "KVM_DEV_ARM_VGIC_GRP_ and this name, or a number.",
                "title": f"one of {', '.join(names)}, or a number",
                "type": ["string", "integer"],
                "pattern": rf"^({'|'.join(names)})$|^(0[xX])?[0-9A-Fa-f]+$|\$\{{",
            },
            "attr": {
                "description": "The attribute: a number, or what it is called. A register is "
                "called as the architecture has it, GICD_CTLR or ICC_PMR_EL1; an address is one "
                "of v2_dist, v2_cpu, v3_dist, v3_redist, v3_redist_region; what ctrl does is init "
                "or save_pending_tables. Default: 0.",
                "title": "a number, or a name such as GICD_CTLR, v3_dist or init",
                "type": ["string", "integer"],
                "pattern": r"^[A-Za-z0-9_]+$|\$\{",
            },
            "vcpu": {
                "$ref": "#/definitions/number",
                "description": "Whose register it is, 0 to 15. Default: 0.",
                "default": 0,
            },
            **more,
        },
    }


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
                    "$ref": "#/definitions/number",
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
        write=lambda action: {"has_vgic_attr": _write_attribute(action.group, action.attr)},
        perform=lambda machine, action: machine.has_vgic_attr(action.group, action.attr),
        words=lambda action, name: (
            f"KVM_HAS_DEVICE_ATTR {vgicattrs.said(action.group, action.attr)}"
        ),
    ),
)


def _version(model: str) -> Any:
    return _VERSIONS.get(model, 3)

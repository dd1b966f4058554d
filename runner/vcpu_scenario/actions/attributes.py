"""Device attributes: how a scenario says which one, of a vGIC or of a vCPU."""

from __future__ import annotations

from typing import Any, Final

from vcpu_scenario.actions.kind import Node, Reader
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT, Group, Groups, group_of
from vcpu_scenario.kvm.vgicattrs import VCPUS_MOST
from vcpu_scenario.machine.errors import Unexpected

_LOW: Final = (1 << VCPU_SHIFT) - 1
_HIGH: Final = (1 << 64) - 1


def read_attribute(groups: Groups, asked: dict[str, Node], reader: Reader) -> tuple[int, int]:
    """The group and the attribute, as ``kvm_device_attr`` has them."""
    group = groups.get(reader.text(asked["group"])) if "group" in asked else None
    if group is None:
        return reader.number(asked["group"], low=0, high=0xFFFF_FFFF) if "group" in asked else 0, (
            reader.number(asked["attr"], low=0, high=_HIGH) if "attr" in asked else 0
        )
    attribute = _attribute_of(group, asked.get("attr"), reader)
    if "vcpu" in asked:
        vcpu = reader.number(asked["vcpu"], low=0, high=VCPUS_MOST - 1)
        if not group.of_vcpu:
            reader.complain(
                "no attribute of this group is a vCPU's",
                asked["vcpu"],
                found=group.name,
                expected=", ".join(each.name for each in groups.values() if each.of_vcpu),
            )
        attribute |= vcpu << VCPU_SHIFT
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


def write_attribute(groups: Groups, number: int, attribute: int) -> dict[str, Any]:
    group = group_of(groups, number)
    if group is None:
        return {"group": number, "attr": attribute}
    vcpu, low = attribute >> VCPU_SHIFT, attribute & _LOW
    if not group.of_vcpu or vcpu >= VCPUS_MOST:
        vcpu, low = 0, attribute
    written: dict[str, Any] = {"group": group.name, "attr": group.word_of(low) or low}
    return written | ({"vcpu": vcpu} if vcpu else {})


def setting(said: str, value: int | None) -> str:
    """``KVM_SET_DEVICE_ATTR`` in words."""
    what = f"KVM_SET_DEVICE_ATTR {said}"
    return what if value is None else f"{what} = {value:#x}"


def check_found(found: int, expected: int | None, said: str) -> None:
    """Raises :class:`Unexpected` where an attribute is not what is expected of it."""
    if expected is not None and found != expected:
        raise Unexpected(f"KVM_GET_DEVICE_ATTR {said} gave {found:#x}, expected {expected:#x}")


def attribute_schema(
    groups: Groups, group: str, description: str, attr: dict[str, str], **more: Any
) -> dict[str, Any]:
    """What may stand at a key: ``group`` and ``attr`` are what is said of the two."""
    names = list(groups)
    of_vcpu = {
        "vcpu": {
            "$ref": "#/definitions/number",
            "description": "Whose register it is, 0 to 15. Default: 0.",
            "default": 0,
        }
    }
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": ["group"],
        "properties": {
            "group": {
                "description": f"{group}, or a number.",
                "title": f"one of {', '.join(names)}, or a number",
                "type": ["string", "integer"],
                "pattern": rf"^({'|'.join(names)})$|^(0[xX])?[0-9A-Fa-f]+$|\$\{{",
            },
            "attr": {**attr, "type": ["string", "integer"], "pattern": r"^[A-Za-z0-9_]+$|\$\{"},
            **(of_vcpu if any(group.of_vcpu for group in groups.values()) else {}),
            **more,
        },
    }

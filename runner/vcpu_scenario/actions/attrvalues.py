"""How a scenario says the value of an attribute: a number, or what the structure has in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

from vcpu_scenario.actions.kind import Node, Reader, fields, number
from vcpu_scenario.ioctls.attributes import DeviceAttr, Holder
from vcpu_scenario.kvm.attributes import said, size_of
from vcpu_scenario.kvm.vcpuattrs import (
    KVM_ARM_VCPU_PMU_V3_CTRL,
    KVM_ARM_VCPU_PMU_V3_FILTER,
    KVM_PMU_EVENT_ALLOW,
    KVM_PMU_EVENT_DENY,
    EventFilter,
)
from vcpu_scenario.kvm.vgicattrs import (
    KVM_DEV_ARM_VGIC_GRP_ADDR,
    KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
    Region,
)


class Value(NamedTuple):
    """``number`` is None where there is none, ``given`` what a read finds in its place."""

    number: int | None
    given: int = 0


class _Structure(ABC):
    """A value that is a structure, of one attribute of its holder. ``key`` is where it stands, of
    the actions that have it; ``said`` is what it is there."""

    key: ClassVar[str]
    group: ClassVar[int]
    attr: ClassVar[int]
    said: ClassVar[Mapping[str, str]]

    @abstractmethod
    def read(self, asked: Mapping[str, Node], reader: Reader) -> Value: ...

    @abstractmethod
    def write(self, value: Value) -> dict[str, Any] | None:
        """None where the value has more in it than can be said."""

    @abstractmethod
    def schema(self, description: str) -> dict[str, Any]: ...


class _Region(_Structure):
    key, group = "region", KVM_DEV_ARM_VGIC_GRP_ADDR
    attr = KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
    said: ClassVar[Mapping[str, str]] = {
        "set": "What v3_redist_region is set to.",
        "get": "Which v3_redist_region, by its index, and what is expected of it.",
    }

    def read(self, asked: Mapping[str, Node], reader: Reader) -> Value:
        """More may be said of it than its index, or nothing more."""
        base = reader.word(asked["base"]) if "base" in asked else 0
        count, index, flags = (
            reader.number(asked[key], low=0, high=high) if key in asked else 0
            for key, high in (("count", 0xFFF), ("index", 0xFFF), ("flags", 0xF))
        )
        region = Region(base, count, index, flags)
        if not region.fits:
            reader.complain(
                "no redistributor region has this base",
                asked["base"],
                found=f"{base:#x}",
                expected="a multiple of 64 KiB below 2^52; `value` takes any bits",
            )
        whole = len(asked) > ("index" in asked)
        return Value(region.value if whole else None, index)

    def write(self, value: Value) -> dict[str, Any] | None:
        if value.number is None:
            return {"index": value.given} if value.given else None
        region = Region.of(value.number)
        optional = {"index": region.index, "flags": region.flags}
        written = {"base": region.base, "count": region.count}
        written |= {key: field for key, field in optional.items() if field}
        return written if region.value == value.number else None

    def schema(self, description: str) -> dict[str, Any]:
        return {
            "description": description,
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "base": number("Where it begins, a multiple of 64 KiB."),
                "count": number("How many redistributors it has room for."),
                "index": {**number("Its index. Default: 0."), "default": 0},
                "flags": {**number("Flags, of which there are none."), "default": 0},
            },
        }


class _Filter(_Structure):
    key, group = "filter", KVM_ARM_VCPU_PMU_V3_CTRL
    attr = KVM_ARM_VCPU_PMU_V3_FILTER
    said: ClassVar[Mapping[str, str]] = {
        "set": "struct kvm_pmu_event_filter, which the attribute filter is set to."
    }

    def read(self, asked: Mapping[str, Node], reader: Reader) -> Value:
        base, count = (
            reader.number(asked[key], low=0, high=0xFFFF) if key in asked else 0
            for key in ("base_event", "nevents")
        )
        word = reader.text(asked["action"]) if "action" in asked else "allow"
        action = _ACTIONS.get(word)
        if action is None:
            action = reader.number(asked["action"], low=0, high=0xFF)
        return Value(EventFilter(base, count, action).value)

    def write(self, value: Value) -> dict[str, Any] | None:
        asked = EventFilter.of(value.number or 0)
        if asked.value != value.number:
            return None
        action = next((word for word, at in _ACTIONS.items() if at == asked.action), asked.action)
        return {"base_event": asked.base_event, "nevents": asked.nevents, "action": action}

    def schema(self, description: str) -> dict[str, Any]:
        return fields(
            description,
            ["base_event", "nevents", "action"],
            base_event=number("The first event."),
            nevents=number("How many there are from it on."),
            action={
                "description": "KVM_PMU_EVENT_ and this name, or a number.",
                "title": "allow or deny, or a number",
                "type": ["string", "integer"],
                "pattern": r"^(allow|deny)$|^(0[xX])?[0-9A-Fa-f]+$|\$\{",
            },
        )


_ACTIONS: Final = {"allow": KVM_PMU_EVENT_ALLOW, "deny": KVM_PMU_EVENT_DENY}
_STRUCTURES: Final[Mapping[Holder, _Structure]] = {"vgic": _Region(), "vcpu": _Filter()}


def read_value(which: DeviceAttr, asked: Mapping[str, Node], reader: Reader) -> Value:
    structure = _STRUCTURES.get(which.of)
    if structure is None or structure.key not in asked:
        bits = 8 * size_of(which)
        return Value(reader.word(asked["value"], bits) if "value" in asked else None)
    if "value" in asked:
        reader.complain(
            "two values of one attribute",
            asked["value"],
            found=f"value and {structure.key}",
            expected="one of them",
        )
    its = DeviceAttr(which.of, structure.group, structure.attr)
    if which != its and "group" in asked:
        reader.complain(
            f"{said(its)} alone has a {structure.key}",
            asked[structure.key],
            found=said(which),
            expected="value",
        )
    return structure.read(dict(reader.entries(asked[structure.key])), reader)


def write_value(verb: str, which: DeviceAttr, value: Value) -> dict[str, Any]:
    structure = _STRUCTURES.get(which.of)
    if structure is not None and (which.group, which.attr) == (structure.group, structure.attr):
        written = structure.write(value) if verb in structure.said else None
        if written is not None:
            return {structure.key: written}
    return {} if value.number is None else {"value": value.number}


def structure_schema(verb: str, holder: Holder) -> dict[str, Any]:
    """What may stand in the place of a number, by its key."""
    structure = _STRUCTURES.get(holder)
    if structure is None or verb not in structure.said:
        return {}
    return {structure.key: structure.schema(structure.said[verb])}

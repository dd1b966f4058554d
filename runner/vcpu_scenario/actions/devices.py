"""Devices of the kernel by their types, the ITS, and which gsi leads to which line of the vGIC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.attributes import (
    attribute_schema,
    read_attribute,
    setting,
    write_attribute,
)
from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, number
from vcpu_scenario.ioctls import CreateDevice, SetGsiRouting, SetItsAttr
from vcpu_scenario.kvm import deviceattrs, vgicattrs

_WORD: Final = 0xFFFF_FFFF
_TYPES: Final = {
    "vgic_v2": vgicattrs.KVM_DEV_TYPE_ARM_VGIC_V2,
    "vgic_v3": vgicattrs.KVM_DEV_TYPE_ARM_VGIC_V3,
    "vgic_its": vgicattrs.KVM_DEV_TYPE_ARM_VGIC_ITS,
}
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_ITS: Final = vgicattrs.its_groups()


# -- KVM_CREATE_DEVICE ----------------------------------------------------------------------------


def _read_device(key: str, node: Node, reader: Reader) -> Iterable[CreateDevice]:
    asked = dict(reader.entries(node))
    type_ = asked.get("type")
    known = _TYPES.get(reader.text(type_)) if type_ is not None else 0
    if known is None:
        known = reader.number(type_, low=0, high=_WORD)
    yield CreateDevice(known, reader.flag(asked.get("test")))


def _write_device(action: CreateDevice) -> dict[str, Any]:
    test = {"test": True} if action.test else {}
    return {"create_device": {"type": _NAMES.get(action.type, action.type)} | test}


def _device_words(action: CreateDevice, name: Name) -> str:
    what = _NAMES.get(action.type, f"type {action.type}")
    return f"KVM_CREATE_DEVICE {what}{' on trial' if action.test else ''}"


# -- the ITS --------------------------------------------------------------------------------------


def _read_its(key: str, node: Node, reader: Reader) -> Iterable[SetItsAttr]:
    asked = dict(reader.entries(node))
    group, attr = read_attribute(_ITS, asked, reader)
    yield SetItsAttr(group, attr, reader.word(asked["value"]) if "value" in asked else None)


def _write_its(action: SetItsAttr) -> dict[str, Any]:
    value = {} if action.value is None else {"value": action.value}
    return {"set_its_attr": write_attribute(_ITS, action.group, action.attr) | value}


def _its_words(action: SetItsAttr, name: Name) -> str:
    return setting(f"its {deviceattrs.said(_ITS, action.group, action.attr)}", action.value)


# -- KVM_SET_GSI_ROUTING --------------------------------------------------------------------------


def _read_routing(key: str, node: Node, reader: Reader) -> Iterable[SetGsiRouting]:
    routes = (dict(reader.entries(item)) for item in reader.items(node))
    yield SetGsiRouting(
        tuple(
            (
                reader.number(each["gsi"], low=0, high=_WORD),
                reader.number(each["pin"], low=0, high=_WORD),
            )
            for each in routes
            if {"gsi", "pin"} <= each.keys()
        )
    )


def _write_routing(action: SetGsiRouting) -> dict[str, Any]:
    return {"gsi_routing": [{"gsi": gsi, "pin": pin} for gsi, pin in action.routes]}


def _routing_words(action: SetGsiRouting, name: Name) -> str:
    routes = ", ".join(f"{gsi} to {pin}" for gsi, pin in action.routes)
    return f"KVM_SET_GSI_ROUTING {routes or 'of nothing'}"


KINDS: Final = (
    Kind(
        CreateDevice,
        schema={
            "create_device": {
                "description": "KVM_CREATE_DEVICE by the type of the device, for those that "
                "create_vgic does not make, and for any on trial.",
                "type": "object",
                "additionalProperties": False,
                "required": ["type"],
                "properties": {
                    "type": {
                        "title": f"one of {', '.join(_TYPES)}, or a number",
                        "description": "KVM_DEV_TYPE_ARM_ and this name, or its number.",
                        "type": ["string", "integer"],
                    },
                    "test": {
                        "$ref": "#/definitions/flag",
                        "description": "KVM_CREATE_DEVICE_TEST: whether the kernel has such a "
                        "device; none is made. Default: false.",
                        "default": False,
                    },
                },
            }
        },
        read=_read_device,
        write=_write_device,
        perform=lambda machine, action: machine.create_device(action),
        words=_device_words,
    ),
    Kind(
        SetItsAttr,
        schema={
            "set_its_attr": attribute_schema(
                _ITS,
                "KVM_DEV_ARM_VGIC_GRP_ and this name",
                "KVM_SET_DEVICE_ATTR of the ITS that create_device has made. Without a value the "
                "address of one is NULL.",
                {
                    "description": "The attribute: its, its address, or init, or a number. "
                    "Default: 0.",
                    "title": "its, init or a number",
                },
                value=number("What it is set to."),
            )
        },
        read=_read_its,
        write=_write_its,
        perform=lambda machine, action: machine.set_its_attr(
            action.group, action.attr, action.value
        ),
        words=_its_words,
    ),
    Kind(
        SetGsiRouting,
        schema={
            "gsi_routing": {
                "description": "KVM_SET_GSI_ROUTING: from now on these gsis lead to pins of the "
                "vGIC, and no others do.",
                "type": "array",
                "items": {
                    "description": "A gsi and where it leads.",
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["gsi", "pin"],
                    "properties": {
                        "gsi": number("gsi, which an irqfd names."),
                        "pin": number("irqchip.pin: the SPI less 32."),
                    },
                },
            }
        },
        read=_read_routing,
        write=_write_routing,
        perform=lambda machine, action: machine.irqfds.route(action.routes),
        words=_routing_words,
    ),
)

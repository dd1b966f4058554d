"""Devices of the kernel by their types, and where a gsi leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, fields, number, of
from vcpu_scenario.actions.msi import msi_schema, msi_words, read_msi, write_msi
from vcpu_scenario.ioctls.devices import CreateDevice, CreateVgic, SetGsiRouting
from vcpu_scenario.kvm import vgicattrs

_WORD: Final = 0xFFFF_FFFF
_TYPES: Final = {
    "vgic_v2": vgicattrs.KVM_DEV_TYPE_ARM_VGIC_V2,
    "vgic_v3": vgicattrs.KVM_DEV_TYPE_ARM_VGIC_V3,
    "vgic_its": vgicattrs.KVM_DEV_TYPE_ARM_VGIC_ITS,
}
_VERSIONS: Final[Mapping[str, Literal[2, 3]]] = {"vgic-v2": 2, "vgic-v3": 3}
_MODELS: Final = {version: model for model, version in _VERSIONS.items()}
_NAMES: Final = {number: name for name, number in _TYPES.items()}


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


# -- KVM_SET_GSI_ROUTING --------------------------------------------------------------------------


def _read_routing(key: str, node: Node, reader: Reader) -> Iterable[SetGsiRouting]:
    pins, msis = [], []
    for item in reader.items(node):
        asked = dict(reader.entries(item))
        gsi = reader.number(asked["gsi"], low=0, high=_WORD) if "gsi" in asked else 0
        if ("msi" in asked) is ("pin" in asked):
            reader.complain(
                "a gsi leads to one place",
                item,
                found=", ".join(key for key in ("pin", "msi") if key in asked) or "none",
                expected="pin or msi",
            )
        elif "msi" in asked:
            msis.append((gsi, *read_msi(dict(reader.entries(asked["msi"])), reader)))
        elif "pin" in asked:
            pins.append((gsi, reader.number(asked["pin"], low=0, high=_WORD)))
    yield SetGsiRouting(tuple(pins), tuple(msis))


def _write_routing(action: SetGsiRouting) -> dict[str, Any]:
    pins: list[dict[str, Any]] = [{"gsi": gsi, "pin": pin} for gsi, pin in action.routes]
    msis = [{"gsi": msi[0], "msi": write_msi(*msi[1:])} for msi in action.msis]
    return {"gsi_routing": pins + msis}


def _routing_words(action: SetGsiRouting, name: Name) -> str:
    pins = [f"{gsi} to {pin}" for gsi, pin in action.routes]
    msis = [f"{msi[0]} to {msi_words(*msi[1:])}" for msi in action.msis]
    return f"KVM_SET_GSI_ROUTING {', '.join(pins + msis) or 'of nothing'}"


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
        read=lambda key, node, reader: [CreateVgic(_VERSIONS.get(reader.text(node), 3))],
        write=lambda action: {"create_vgic": _MODELS[action.version]},
        perform=lambda machine, action: machine.devices.create_vgic(action.version),
        words=lambda action, name: f"KVM_CREATE_DEVICE {_MODELS[action.version]}",
    ),
    Kind(
        CreateDevice,
        schema={
            "create_device": fields(
                "KVM_CREATE_DEVICE by the type of the device, for those that "
                "create_vgic does not make, and for any on trial.",
                ["type"],
                type={
                    "title": f"one of {', '.join(_TYPES)}, or a number",
                    "description": "KVM_DEV_TYPE_ARM_ and this name, or its number.",
                    "type": ["string", "integer"],
                },
                test=of(
                    "flag",
                    "KVM_CREATE_DEVICE_TEST: whether the kernel has such a "
                    "device; none is made. Default: false.",
                    default=False,
                ),
            )
        },
        read=_read_device,
        write=_write_device,
        perform=lambda machine, action: machine.devices.create(action),
        words=_device_words,
    ),
    Kind(
        SetGsiRouting,
        schema={
            "gsi_routing": {
                "description": "KVM_SET_GSI_ROUTING: from now on these gsis lead to pins of the "
                "vGIC or to MSIs, and no others do.",
                "type": "array",
                "items": fields(
                    "A gsi and where it leads.",
                    ["gsi"],
                    gsi=number("gsi, which an irqfd names."),
                    pin=number("irqchip.pin: the SPI less 32."),
                    msi=msi_schema("What an ITS is to translate."),
                ),
            }
        },
        read=_read_routing,
        write=_write_routing,
        perform=lambda machine, action: machine.irqfds.route(action),
        words=_routing_words,
    ),
)

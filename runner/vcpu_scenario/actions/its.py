"""ITSs as devices: their attributes, and KVM_SIGNAL_MSI."""

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
from vcpu_scenario.actions.kind import Kind, Node, Reader, number
from vcpu_scenario.actions.msi import msi_schema, msi_words, read_msi, write_msi
from vcpu_scenario.ioctls.devices import GetItsAttr, HasItsAttr, SetItsAttr, SignalMsi
from vcpu_scenario.kvm import vgicattrs
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_GROUPS: Final = vgicattrs.its_groups()
_MOST: Final = 15
"""The highest number of an ITS that a scenario may name."""


def _its(asked: dict[str, Node], reader: Reader) -> int:
    return reader.number(asked["its"], low=0, high=_MOST) if "its" in asked else 0


def _value(asked: dict[str, Node], reader: Reader) -> int | None:
    return reader.word(asked["value"]) if "value" in asked else None


def _read_set(key: str, node: Node, reader: Reader) -> Iterable[SetItsAttr]:
    asked = dict(reader.entries(node))
    where = read_attribute(_GROUPS, asked, reader)
    yield SetItsAttr(*where, _value(asked, reader), _its(asked, reader))


def _read_get(key: str, node: Node, reader: Reader) -> Iterable[GetItsAttr]:
    asked = dict(reader.entries(node))
    where = read_attribute(_GROUPS, asked, reader)
    yield GetItsAttr(*where, _value(asked, reader), _its(asked, reader))


def _read_has(key: str, node: Node, reader: Reader) -> Iterable[HasItsAttr]:
    asked = dict(reader.entries(node))
    yield HasItsAttr(*read_attribute(_GROUPS, asked, reader), _its(asked, reader))


def _where(action: SetItsAttr | GetItsAttr | HasItsAttr) -> dict[str, Any]:
    its = {"its": action.its} if action.its else {}
    return its | write_attribute(_GROUPS, action.group, action.attr)


def _with_value(action: SetItsAttr | GetItsAttr) -> dict[str, Any]:
    return _where(action) | ({} if action.value is None else {"value": action.value})


def _said(action: SetItsAttr | GetItsAttr | HasItsAttr) -> str:
    number = f" {action.its}" if action.its else ""
    return f"its{number} {vgicattrs.its_said(action.group, action.attr)}"


def _get(machine: Machine, action: GetItsAttr) -> None:
    check_found(machine.itses.get(action), action.value, _said(action))


def _read_signal(key: str, node: Node, reader: Reader) -> Iterable[SignalMsi]:
    asked = dict(reader.entries(node))
    delivered = reader.flag(asked["delivered"]) if "delivered" in asked else None
    yield SignalMsi(*read_msi(asked, reader), delivered)


def _write_signal(action: SignalMsi) -> dict[str, Any]:
    told = {} if action.delivered is None else {"delivered": action.delivered}
    return {"signal_msi": write_msi(action.address, action.data, action.device) | told}


def _signal(machine: Machine, action: SignalMsi) -> None:
    found = machine.itses.signal(action)
    if action.delivered is not None and found is not action.delivered:
        words = {True: "1, delivered", False: "0, blocked"}
        raise Unexpected(f"KVM_SIGNAL_MSI gave {words[found]}, expected {words[action.delivered]}")


def _attribute(description: str, **more: Any) -> dict[str, Any]:
    attr = {
        "description": "The attribute: a number, or what it is called. A register is called as the "
        "architecture has it, GITS_CTLR; the address is its; what ctrl does is init, save_tables, "
        "restore_tables or reset. Default: 0.",
        "title": "a number, or a name such as GITS_CTLR, its or save_tables",
    }
    its = {**number("Which ITS, by the order in which they were created."), "default": 0}
    group = "KVM_DEV_ARM_VGIC_GRP_ and this name"
    return attribute_schema(_GROUPS, group, description, attr, its=its, **more)


KINDS: Final = (
    Kind(
        SetItsAttr,
        schema={
            "set_its_attr": _attribute(
                "KVM_SET_DEVICE_ATTR of an ITS that create_device has made. Without a value the "
                "address of one is NULL.",
                value=number("What it is set to."),
            )
        },
        read=_read_set,
        write=lambda action: {"set_its_attr": _with_value(action)},
        perform=lambda machine, action: machine.itses.set(action),
        words=lambda action, name: setting(_said(action), action.value),
    ),
    Kind(
        GetItsAttr,
        schema={
            "get_its_attr": _attribute(
                "KVM_GET_DEVICE_ATTR of an ITS.",
                value=number("What it is expected to be. Default: any value."),
            )
        },
        read=_read_get,
        write=lambda action: {"get_its_attr": _with_value(action)},
        perform=_get,
        words=lambda action, name: f"KVM_GET_DEVICE_ATTR {_said(action)}",
    ),
    Kind(
        HasItsAttr,
        schema={
            "has_its_attr": _attribute(
                "KVM_HAS_DEVICE_ATTR of an ITS, which succeeds where it has the attribute."
            )
        },
        read=_read_has,
        write=lambda action: {"has_its_attr": _where(action)},
        perform=lambda machine, action: machine.itses.has(action),
        words=lambda action, name: f"KVM_HAS_DEVICE_ATTR {_said(action)}",
    ),
    Kind(
        SignalMsi,
        schema={
            "signal_msi": msi_schema(
                "KVM_SIGNAL_MSI: what a device would write to the ITS.",
                delivered={
                    "$ref": "#/definitions/flag",
                    "description": "Whether it is expected to be delivered, or blocked by the "
                    "guest, which has not mapped the event. Default: either.",
                },
            )
        },
        read=_read_signal,
        write=_write_signal,
        perform=_signal,
        words=lambda action, name: (
            f"KVM_SIGNAL_MSI {msi_words(action.address, action.data, action.device)}"
        ),
    ),
)

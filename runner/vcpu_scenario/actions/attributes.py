"""The attributes of devices and of vCPUs: set, read, and asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from vcpu_scenario.actions.attrnames import read_which, which_schema, write_which
from vcpu_scenario.actions.attrvalues import Value, read_value, structure_schema, write_value
from vcpu_scenario.actions.kind import Kind, Node, Reader, fields, number, of
from vcpu_scenario.ioctls.attributes import (
    DeviceAttr,
    GetDeviceAttr,
    HasDeviceAttr,
    Holder,
    SetDeviceAttr,
)
from vcpu_scenario.kvm.attributes import said
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_HOLDERS: Final[tuple[Holder, ...]] = get_args(Holder)
_OF: Final[Mapping[Holder, str]] = {
    "vgic": "the vGIC",
    "vcpu": "the vCPU",
    "its": "an ITS that create_device has made",
}


_NO_VALUE: Final = Value(None)


def _key(verb: str, holder: Holder) -> str:
    return f"{verb}_{holder}_attr"


_HOLDER: Final = {
    _key(verb, holder): holder for holder in _HOLDERS for verb in ("set", "get", "has")
}


def _which(key: str, node: Node, reader: Reader) -> tuple[DeviceAttr, Mapping[str, Node]]:
    asked = dict(reader.entries(node))
    return read_which(_HOLDER[key], asked, reader), asked


def _read_set(key: str, node: Node, reader: Reader) -> Iterable[SetDeviceAttr]:
    which, asked = _which(key, node, reader)
    yield SetDeviceAttr(which, read_value(which, asked, reader).number)


def _read_get(key: str, node: Node, reader: Reader) -> Iterable[GetDeviceAttr]:
    which, asked = _which(key, node, reader)
    yield GetDeviceAttr(which, *read_value(which, asked, reader))


def _read_has(key: str, node: Node, reader: Reader) -> Iterable[HasDeviceAttr]:
    yield HasDeviceAttr(_which(key, node, reader)[0])


def _written(verb: str, which: DeviceAttr, value: Value = _NO_VALUE) -> dict[str, Any]:
    return {_key(verb, which.of): write_which(which) | write_value(verb, which, value)}


def _get(machine: Machine, action: GetDeviceAttr) -> None:
    found, expected = machine.devices.get(action.which, action.given), action.value
    if expected is not None and found != expected:
        what = f"KVM_GET_DEVICE_ATTR {said(action.which)}"
        raise Unexpected(f"{what} gave {found:#x}, expected {expected:#x}")


def _set_words(action: SetDeviceAttr) -> str:
    what = f"KVM_SET_DEVICE_ATTR {said(action.which)}"
    return what if action.value is None else f"{what} = {action.value:#x}"


def _schema(verb: str, more: str, **value: Any) -> dict[str, Any]:
    """Of each holder what may stand at its key; ``more`` says more of what is done."""
    return {
        _key(verb, holder): fields(
            f"KVM_{verb.upper()}_DEVICE_ATTR of {_OF[holder]}{more}",
            ["group"],
            **which_schema(holder),
            **value,
            **structure_schema(verb, holder),
        )
        for holder in _HOLDERS
    }


KINDS: Final = (
    Kind(
        SetDeviceAttr,
        schema=_schema(
            "set",
            ". Without a value the address of one is NULL.",
            value=number("What it is set to."),
        ),
        read=_read_set,
        write=lambda action: _written("set", action.which, Value(action.value)),
        perform=lambda machine, action: machine.devices.set(action.which, action.value),
        words=lambda action, name: _set_words(action),
    ),
    Kind(
        GetDeviceAttr,
        schema=_schema(
            "get", ".", value=of("number_by_case", "What it is expected to be. Default: any value.")
        ),
        read=_read_get,
        write=lambda action: _written("get", action.which, Value(action.value, action.given)),
        perform=_get,
        words=lambda action, name: f"KVM_GET_DEVICE_ATTR {said(action.which)}",
    ),
    Kind(
        HasDeviceAttr,
        schema=_schema("has", ", which succeeds where it has the attribute."),
        read=_read_has,
        write=lambda action: _written("has", action.which),
        perform=lambda machine, action: machine.devices.has(action.which),
        words=lambda action, name: f"KVM_HAS_DEVICE_ATTR {said(action.which)}",
    ),
)

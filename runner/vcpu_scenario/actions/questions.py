"""Ioctls that are no more than a question: a number, and what KVM answers to it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Node, Reader, fields, number, of
from vcpu_scenario.actions.vcpu import MP_STATES, MP_WORDS
from vcpu_scenario.ioctls.vm import Ask
from vcpu_scenario.kvm import abi, capabilities, plainioctls
from vcpu_scenario.kvm.plainioctls import REQUESTS
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_INT: Final = (1 << 31) - 1
_EVENTS: Final = ("serror_pending", "serror_has_esr", "ext_dabt_pending", "serror_esr")
_FILES: Final = ("system", "vm")


def _value(asked: dict[str, Node], reader: Reader) -> int | None:
    return reader.word(asked["value"]) if "value" in asked else None


def _only(**known: Any) -> dict[str, Any]:
    return {key: value for key, value in known.items() if value is not None}


# -- KVM_CHECK_EXTENSION --------------------------------------------------------------------------


def read_cap(node: Node | None, reader: Reader) -> int:
    """A capability by its name or its number."""
    if node is None:
        return 0
    known = capabilities.NUMBERS.get(reader.text(node))
    return reader.number(node, low=0, high=0xFFFF_FFFF) if known is None else known


def _read_extension(node: Node, reader: Reader) -> Ask:
    asked = dict(reader.entries(node))
    of = reader.text(asked["of"]) if "of" in asked else ""
    file: Any = of if of in _FILES else ""
    cap = read_cap(asked.get("cap"), reader)
    return Ask(plainioctls.CHECK_EXTENSION, cap, _value(asked, reader), file)


def _write_extension(action: Ask) -> Any:
    cap = capabilities.NAMES.get(action.arg, action.arg)
    return {"cap": cap, **_only(value=action.value, of=action.file or None)}


# -- the vCPU's state and events ------------------------------------------------------------------


def _read_events(node: Node, reader: Reader) -> Ask:
    asked = dict(reader.entries(node))
    events = abi.kvm_vcpu_events(
        **{
            key: reader.word(asked[key]) if key == "serror_esr" else reader.flag(asked[key])
            for key in _EVENTS
            if key in asked
        }
    )
    return Ask(plainioctls.GET_VCPU_EVENTS, 0, int.from_bytes(bytes(events), "little"))


def _events(value: int) -> abi.kvm_vcpu_events:
    size = ctypes.sizeof(abi.kvm_vcpu_events)
    return abi.kvm_vcpu_events.from_buffer_copy(value.to_bytes(size, "little"))


def _write_events(action: Ask) -> Any:
    events = _events(action.value or 0)
    found = {key: int(getattr(events, key)) for key in _EVENTS}
    return {key: word if key == "serror_esr" else bool(word) for key, word in found.items() if word}


# -- any of them ----------------------------------------------------------------------------------


def _read_ioctl(node: Node, reader: Reader) -> Ask:
    asked = dict(reader.entries(node))
    request = reader.text(asked["request"]) if "request" in asked else ""
    if request not in REQUESTS:
        return Ask(plainioctls.CHECK_EXTENSION)  # which the schema has told of
    size = REQUESTS[request].size
    arg = reader.word(asked["arg"], 8 * size) if size and "arg" in asked else 0
    if not size and "arg" in asked:
        arg = reader.number(asked["arg"], low=0, high=_INT)
    return Ask(request, arg, _value(asked, reader))


def _write_ioctl(action: Ask) -> Any:
    return {"request": action.request, **_only(arg=action.arg or None, value=action.value)}


def _read_device_addr(node: Node, reader: Reader) -> Ask:
    asked = dict(reader.entries(node))
    id_, addr = (reader.word(asked[key]) if key in asked else 0 for key in ("id", "addr"))
    return Ask(plainioctls.SET_DEVICE_ADDR, addr << 64 | id_)


def _read_vm_attr(node: Node, reader: Reader) -> Ask:
    asked = dict(reader.entries(node))
    group, attr = (
        reader.number(asked[key], low=0, high=0xFFFF_FFFF) if key in asked else 0
        for key in ("group", "attr")
    )
    return Ask(plainioctls.HAS_VM_ATTR, attr << 64 | group << 32)


_WORDS: Final[Mapping[str, tuple[str, Callable[[Node, Reader], Ask], Callable[[Ask], Any]]]] = {
    "check_extension": (plainioctls.CHECK_EXTENSION, _read_extension, _write_extension),
    "get_mp_state": (
        plainioctls.GET_MP_STATE,
        lambda node, reader: Ask(plainioctls.GET_MP_STATE, 0, MP_STATES.get(reader.text(node))),
        lambda action: None if action.value is None else MP_WORDS.get(action.value),
    ),
    "get_vcpu_events": (plainioctls.GET_VCPU_EVENTS, _read_events, _write_events),
    "preferred_target": (
        plainioctls.PREFERRED_TARGET,
        lambda node, reader: Ask(plainioctls.PREFERRED_TARGET, 0, reader.word(node)),
        lambda action: action.value,
    ),
    "set_device_addr": (
        plainioctls.SET_DEVICE_ADDR,
        _read_device_addr,
        lambda action: {"id": action.arg & (1 << 64) - 1, "addr": action.arg >> 64},
    ),
    "has_vm_attr": (
        plainioctls.HAS_VM_ATTR,
        _read_vm_attr,
        lambda action: {"group": action.arg >> 32 & 0xFFFF_FFFF, "attr": action.arg >> 64},
    ),
}
"""By key: the ioctl that it is a word for, and how its value is read and written."""


def _read(key: str, node: Node, reader: Reader) -> Iterable[Ask]:
    yield _read_ioctl(node, reader) if key == "ioctl" else _WORDS[key][1](node, reader)


def _write(action: Ask) -> dict[str, Any]:
    for key, (request, _, write) in _WORDS.items():
        if request == action.request and (entry := write(action)) is not None:
            return {key: entry}
    return {"ioctl": _write_ioctl(action)}


def said(action: Ask) -> str:
    """The ioctl in words."""
    words = [action.request]
    if action.request == plainioctls.CHECK_EXTENSION:
        words.append(capabilities.said(action.arg))
    elif action.arg:
        words.append(hex(action.arg))
    return " ".join((*words, *(("of /dev/kvm",) if action.file == "system" else ())))


def _ask(machine: Machine, action: Ask) -> None:
    found = machine.ask(action)
    if action.value is not None and found != action.value:
        raise Unexpected(f"{said(action)} gave {_told(action, found)}, expected {_told(action)}")


def _told(action: Ask, found: int | None = None) -> str:
    value = (action.value if found is None else found) or 0
    if action.request == plainioctls.GET_MP_STATE:
        return MP_WORDS.get(value, str(value))
    if action.request == plainioctls.GET_VCPU_EVENTS:
        events = _write_events(Ask(action.request, 0, value)).items()
        return (
            ", ".join(key if word is True else f"{key} {word:#x}" for key, word in events) or "none"
        )
    return str(value) if value < 1 << 16 else hex(value)


CAP: Final = {
    "title": "a name such as arm_vm_ipa_size, or a number",
    "description": "cap: KVM_CAP_ and this name in lower case, or its number.",
    "type": ["string", "integer"],
    "pattern": rf"^({'|'.join(capabilities.NUMBERS)})$|^(0[xX])?[0-9A-Fa-f]+$|\$\{{",
}
_VALUE: Final = of("number_by_case", "What it is expected to give. Default: any value.")

KINDS: Final = (
    Kind(
        Ask,
        schema={
            "check_extension": fields(
                "KVM_CHECK_EXTENSION.",
                ["cap"],
                cap=CAP,
                value=_VALUE,
                of={
                    "description": "Of which file: /dev/kvm or the VM. Default: vm.",
                    "type": "string",
                    "enum": list(_FILES),
                },
            ),
            "get_mp_state": {
                "description": "KVM_GET_MP_STATE, and what it is expected to give.",
                "type": "string",
                "enum": list(MP_STATES),
            },
            "get_vcpu_events": fields(
                "KVM_GET_VCPU_EVENTS, and what it is expected to give; what is not named is 0.",
                [],
                **{
                    key: of(
                        f"definite_{'number' if key == 'serror_esr' else 'flag'}_by_case",
                        f"exception.{key}. Default: {0 if key == 'serror_esr' else 'false'}.",
                    )
                    for key in _EVENTS
                },
            ),
            "preferred_target": of(
                "definite_number_by_case",
                "KVM_ARM_PREFERRED_TARGET, and the target that it is expected to give.",
            ),
            "set_device_addr": fields(
                "KVM_ARM_SET_DEVICE_ADDR: the ioctl for a GICv2's addresses that came before its"
                " attributes.",
                ["id", "addr"],
                id=number("id: the device above the type of the address; 0 is the distributor."),
                addr=number("addr."),
            ),
            "has_vm_attr": fields(
                "KVM_HAS_DEVICE_ATTR of the VM, which succeeds where it has the attribute.",
                ["group"],
                group=number("The group: 0 is KVM_ARM_VM_SMCCC_CTRL."),
                attr=of("number", "The attribute. Default: 0.", default=0),
            ),
            "ioctl": fields(
                "An ioctl by its name, mostly one that arm64 refuses.",
                ["request"],
                request={"description": "Which one.", "type": "string", "enum": list(REQUESTS)},
                arg=number("Its argument, or its structure as one number. Default: 0."),
                value=_VALUE,
            ),
        },
        read=_read,
        write=_write,
        perform=_ask,
        words=lambda action, name: said(action),
    ),
)

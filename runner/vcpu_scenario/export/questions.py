"""What the VMM asks only to hear the answer, and the ioctls that make a VM again, in C."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from vcpu_scenario.case import Action
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import number
from vcpu_scenario.export.vcpu import MP_STATES, events
from vcpu_scenario.ioctls.vm import Ask, CreateIrqchip, CreateVm, EnableCap, GetRegister
from vcpu_scenario.kvm import abi, capabilities, plainioctls
from vcpu_scenario.kvm.plainioctls import REQUESTS

_LONG: Final = (1 << 64) - 1
_WORD: Final = (1 << 32) - 1
_NEWEST_CAP: Final = 223
"""The last that headers of 6.1 have."""
_NOT_IN_HEADERS: Final = frozenset(
    {"KVM_CREATE_PIT2", "KVM_GET_IRQCHIP", "KVM_SET_IRQCHIP", "KVM_SET_MEMORY_REGION"}
)
"""Their structures are x86's own, or gone from newer headers."""


def cap(asked: int, names: Names) -> str:
    """The capability by its name, which is defined where old headers lack it."""
    name = capabilities.NAMES.get(asked)
    if name is None:
        return str(asked)
    if asked <= _NEWEST_CAP or name == "arm_writable_imp_id_regs":
        return f"KVM_CAP_{name.upper()}"
    names.define(f"CAP_{name.upper()}", asked)
    return f"CAP_{name.upper()}"


def _extension(action: Ask, names: Names) -> str:
    function = "system_extension" if action.file == "system" else "check_extension"
    return f"{function}({cap(action.arg, names)})"


_CALLS: Final[Mapping[str, Callable[[Ask, Names], str]]] = {
    plainioctls.CHECK_EXTENSION: _extension,
    plainioctls.PREFERRED_TARGET: lambda action, names: "preferred_target()",
    plainioctls.GET_MP_STATE: lambda action, names: "get_mp_state()",
    plainioctls.GET_VCPU_EVENTS: lambda action, names: "get_vcpu_events()",
    plainioctls.SET_DEVICE_ADDR: lambda action, names: (
        f"set_device_addr({action.arg & _LONG:#x}, {action.arg >> 64:#x})"
    ),
    plainioctls.HAS_VM_ATTR: lambda action, names: (
        f"has_vm_attr({number(action.arg >> 32 & _WORD)}, {number(action.arg >> 64)})"
    ),
}


def _plain(action: Ask, names: Names) -> str:
    """Any other: with its number, or with the bytes of its structure."""
    request = REQUESTS[action.request]
    function = {"system": "kvm_call", "vm": "vm_call", "vcpu": "vcpu_call"}[
        action.file or request.file
    ]
    name = action.request
    if name in _NOT_IN_HEADERS:
        name = f"X86_{name.removeprefix('KVM_')}"
        names.define(name, request.number)
    if not request.size:
        return f"{function}({name}, {f'(void *){action.arg:#x}' if action.arg else 'NULL'})"
    data = action.arg.to_bytes(request.size, "little").rstrip(b"\0") or b"\0"
    literal = f"&(uint8_t[{request.size}]){{ {', '.join(map(hex, data))} }}"
    return f"{function}({name}, {literal if len(data) == 1 else f'({literal})'})"


def ask(action: Ask, names: Names) -> str:
    """The expression of a question, negative where KVM refuses to answer."""
    return _CALLS.get(action.request, _plain)(action, names)


def answer(action: Ask) -> str | None:
    """What the expression is expected to be, in C; None where nothing is expected."""
    value = action.value
    if value is None or action.request == plainioctls.GET_VCPU_EVENTS:
        return None
    if action.request == plainioctls.GET_MP_STATE:
        return MP_STATES.get(value, str(value))
    filled = REQUESTS[action.request].fills and action.request != plainioctls.PREFERRED_TARGET
    if filled or value > _WORD:
        raise Unexportable(f"what is expected in the structure of {action.request}")
    return str(value) if value < 1 << 16 else hex(value)


def expected_events(action: Ask) -> str | None:
    """``struct kvm_vcpu_events`` as it is expected; None where it is not asked for."""
    if action.request != plainioctls.GET_VCPU_EVENTS or action.value is None:
        return None
    size = ctypes.sizeof(abi.kvm_vcpu_events)
    found = abi.kvm_vcpu_events.from_buffer_copy(action.value.to_bytes(size, "little"))
    fields = ("serror_pending", "serror_has_esr", "ext_dabt_pending", "serror_esr")
    return events({name: int(getattr(found, name)) for name in fields})


def get_register(action: GetRegister, names: Names) -> Iterator[str]:
    """``KVM_GET_ONE_REG`` of a register, compared with the value expected."""
    assert action.value is not None
    name = names.register(action.reg)
    if names.width(action.reg) > 8:
        yield f"check(is_wide_reg({name}, {action.value >> 64:#x}, {action.value & _LONG:#x}));"
        return
    value = names.address(action.value) if action.reg == "pc" else f"{action.value:#x}"
    yield f"check(same(get_reg({name}), {value}));"


CALLS: Final[Mapping[type[Action], tuple[str, Callable[[Any, Names], str]]]] = {
    GetRegister: (
        "KVM_GET_ONE_REG",
        lambda action, names: f"try_get_reg({names.register(action.reg)})",
    ),
    CreateVm: ("KVM_CREATE_VM", lambda action, names: f"try_vm({action.type:#x})"),
    CreateIrqchip: (
        "KVM_CREATE_IRQCHIP",
        lambda action, names: "vm_call(KVM_CREATE_IRQCHIP, NULL)",
    ),
    EnableCap: (
        "KVM_ENABLE_CAP",
        lambda action, names: (
            f"enable_vm_cap({cap(action.cap, names)}, {action.flags:#x}, {action.arg:#x})"
        ),
    ),
}
"""What a failure calls it, and the expression."""

"""What the VMM asks of a vCPU, in C: each call by its arguments, since one that is to be refused is
made by another function than one that must succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from vcpu_scenario.actions.guestdebug import struct_of
from vcpu_scenario.case import Action, SetRegister
from vcpu_scenario.export.names import Names, flags
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.ioctls.doorbells import AddCoalescedZone, AddIoeventfd
from vcpu_scenario.ioctls.vcpu import (
    GuestDebug,
    InitVcpu,
    SetGuestDebug,
    SetIrqLine,
    SetMpState,
    SetVcpuEvents,
)
from vcpu_scenario.ioctls.vm import CreateVcpu
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.features import bits_of


def _named(prefix: str, *names: str) -> dict[int, str]:
    """Constants of the uAPI's headers, by their values."""
    return {getattr(abi, f"{prefix}{name}"): f"{prefix}{name}" for name in names}


_CONTROL: Final = _named("KVM_GUESTDBG_", "ENABLE", "SINGLESTEP", "USE_SW_BP", "USE_HW")
_BCR: Final = 0x1E7
_IRQ_TYPES: Final = _named("KVM_ARM_IRQ_TYPE_", "CPU", "SPI", "PPI")
MP_STATES: Final = _named("KVM_MP_STATE_", "RUNNABLE", "STOPPED", "SUSPENDED")
_LONG: Final = (1 << 64) - 1


def features(names: Iterable[str]) -> str:
    """The first word of ``kvm_vcpu_init.features``."""
    return " | ".join(f"1 << KVM_ARM_VCPU_{name.upper()}" for name in names) or "0"


def register(name: str, value: int, names: Names) -> str:
    """``KVM_SET_ONE_REG``."""
    return f"{_setter(name, names)}({_register(name, value, names)});"


def _setter(name: str, names: Names) -> str:
    return "set_wide_reg" if names.width(name) > 8 else "set_reg"


def _register(name: str, value: int, names: Names) -> str:
    if names.width(name) > 8:
        return f"{names.register(name)}, {value >> 64:#x}, {value & _LONG:#x}"
    return f"{names.register(name)}, {names.address(value) if name == 'pc' else f'{value:#x}'}"


def guest_debug(debug: GuestDebug, names: Names) -> str:
    """``KVM_SET_GUEST_DEBUG``: its structure."""
    encoded = struct_of(debug).arch
    lines = [f"\t.control = {flags(debug.control, _CONTROL)},"]
    for n, addr in enumerate(debug.hw_bp):
        assert encoded.dbg_bcr[n] == _BCR
        lines += [f"\t.arch.dbg_bcr[{n}] = DBG_BCR,"]
        lines += [f"\t.arch.dbg_bvr[{n}] = {names.address(addr)},"]
    for n, watch in enumerate(debug.watch):
        access = {"r": "reads", "w": "writes", "rw": "reads and writes"}[watch.type]
        lines += [f"\t/* {access} of {watch.len} bytes at {watch.addr:#x} */"]
        lines += [f"\t.arch.dbg_wcr[{n}] = {encoded.dbg_wcr[n]:#x},"]
        lines += [f"\t.arch.dbg_wvr[{n}] = {encoded.dbg_wvr[n]:#x},"]
    return "\n".join(("&(struct kvm_guest_debug) {", *lines, "}"))


def events(fields: Mapping[str, int]) -> str:
    """``struct kvm_vcpu_events`` with these fields of its exception, what is 0 left out."""
    told = [f"\t.exception.{name} = {value:#x}," for name, value in fields.items() if value]
    if not told:
        return "&(struct kvm_vcpu_events) { 0 }"
    return "\n".join(("&(struct kvm_vcpu_events) {", *told, "}"))


def _events(action: SetVcpuEvents, names: Names) -> str:
    return events(
        {
            "serror_pending": int(action.serror),
            "ext_dabt_pending": int(action.ext_dabt),
            "serror_has_esr": int(action.serror_esr is not None),
            "serror_esr": action.serror_esr or 0,
        }
    )


def _irq_line(action: SetIrqLine, names: Names) -> str:
    kind = action.irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & 0xF
    upper, vcpu, number = action.irq >> 28, action.irq >> 16 & 0xFF, action.irq & 0xFFFF
    of = [f"{upper} << KVM_ARM_IRQ_VCPU2_SHIFT"] if upper else []
    of += [f"{vcpu} << KVM_ARM_IRQ_VCPU_SHIFT"] if vcpu else []
    where = " | ".join((*of, str(number)))
    return f"{_IRQ_TYPES.get(kind, str(kind))}, {where}, {action.level}"


def _mp_state(action: SetMpState, names: Names) -> str:
    return MP_STATES.get(action.state, str(action.state))


def _init(action: InitVcpu, names: Names) -> str:
    if action.features is None and names.power_off:
        raise Unexportable("vcpu_init with the features that each of several vCPUs has")
    asked = names.features if action.features is None else action.features
    if action.target is None and not action.bits:
        return features(asked)
    bits = bits_of(asked) | action.bits
    if bits > _LONG:
        raise Unexportable("vcpu_init with bits beyond the second word of features")
    target = "PREFERRED_TARGET" if action.target is None else str(action.target)
    return f"{target}, {bits:#x}"


def doorbell(addr: int, length: int, match: int | None, names: Names) -> str:
    """What an ioeventfd is set up with, and found by again."""
    flag = "0" if match is None else "KVM_IOEVENTFD_FLAG_DATAMATCH"
    return f"{names.address(addr)}, {length}, {flag}, {match or 0:#x}"


class _Asked(NamedTuple):
    """An ioctl as a failure calls it, the function that makes it, and its arguments. A function of
    that name behind ``try_`` gives what it returns."""

    what: str
    function: Callable[[Any, Names], str]
    arguments: Callable[[Any, Names], str]


def _called(name: str) -> Callable[[Any, Names], str]:
    return lambda action, names: name


def _init_function(action: InitVcpu, names: Names) -> str:
    return "init_vcpu" if action.target is None and not action.bits else "init_vcpu_as"


_ASKED: Final[Mapping[type[Action], _Asked]] = {
    SetRegister: _Asked(
        "KVM_SET_ONE_REG",
        lambda action, names: _setter(action.reg, names),
        lambda action, names: _register(action.reg, action.value, names),
    ),
    SetGuestDebug: _Asked(
        "KVM_SET_GUEST_DEBUG",
        _called("set_guest_debug"),
        lambda action, names: guest_debug(action.debug, names),
    ),
    SetIrqLine: _Asked("KVM_IRQ_LINE", _called("irq_line"), _irq_line),
    SetMpState: _Asked("KVM_SET_MP_STATE", _called("set_mp_state"), _mp_state),
    SetVcpuEvents: _Asked("KVM_SET_VCPU_EVENTS", _called("set_vcpu_events"), _events),
    InitVcpu: _Asked("KVM_ARM_VCPU_INIT", _init_function, _init),
    CreateVcpu: _Asked(
        "KVM_CREATE_VCPU", _called("add_vcpu"), lambda action, names: str(action.vcpu)
    ),
    AddIoeventfd: _Asked(
        "KVM_IOEVENTFD",
        _called("add_ioeventfd"),
        lambda action, names: doorbell(action.addr, action.len, action.match, names),
    ),
    AddCoalescedZone: _Asked(
        "KVM_REGISTER_COALESCED_MMIO",
        _called("add_coalesced_zone"),
        lambda action, names: f"{names.address(action.addr)}, {action.size:#x}",
    ),
}


def _statement(action: Action, names: Names) -> list[str]:
    asked = _ASKED[type(action)]
    call = f"{asked.function(action, names)}({asked.arguments(action, names)});"
    return call.split("\n")


def tried(action: Action, names: Names) -> tuple[str, str] | None:
    """What a failure calls it, and the expression that is negative where KVM refuses it; None for
    what is not among these."""
    asked = _ASKED.get(type(action))
    if asked is None:
        return None
    function = asked.function(action, names)
    return asked.what, f"try_{function}({asked.arguments(action, names)})"


OF: Final[Mapping[type[Action], Callable[[Any, Names], list[str]]]] = dict.fromkeys(
    _ASKED, _statement
)

"""Checks of an exit as conditions in C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.expectation import Check, ExpectedExit, RegisterCheck
from vcpu_scenario.export.names import Names, error, exit_reason
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import byte_string, number
from vcpu_scenario.kvm import abi
from vcpu_scenario.verdict.match import speaks_of_result

_EVENTS: Final = {
    kind: f"KVM_SYSTEM_EVENT_{word.upper()}" for word, kind in abi.SYSTEM_EVENTS.items()
}
_CLASSES: Final = {
    esr.EC_SOFTSTP_LOW: "is_step",
    esr.EC_BRK64: "is_brk",
    esr.EC_BREAKPT_LOW: "is_hw_breakpoint",
    esr.EC_WATCHPT_LOW: "is_watchpoint",
}
CLASS_NAMES: Final = {
    esr.EC_SOFTSTP_LOW: "ESR_EC_SOFTSTP_LOW",
    esr.EC_BRK64: "ESR_EC_BRK64",
    esr.EC_BREAKPT_LOW: "ESR_EC_BREAKPT_LOW",
    esr.EC_WATCHPT_LOW: "ESR_EC_WATCHPT_LOW",
}
_FIELDS: Final[Mapping[str, str]] = {
    "pc": "exit_pc",
    "hsr": "run->debug.arch.hsr",
    "hsr_high": "run->debug.arch.hsr_high",
    "far": "run->debug.arch.far",
    "flags": "run->flags",
    "addr": "run->mmio.phys_addr",
    "len": "run->mmio.len",
    "is_write": "run->mmio.is_write",
    "type": "run->system_event.type",
    "ndata": "run->system_event.ndata",
    "iss": "run->arm_nisv.esr_iss",
    "ipa": "run->arm_nisv.fault_ipa",
    "nr": "run->hypercall.nr",
    "device_irq_level": "run->s.regs.device_irq_level",
    "vcpu": "vcpu_nr",
}
_OF_HYPERCALL: Final = {"flags": "run->hypercall.longmode"}
"""Before 6.4 the headers have no other name for the bits."""
_ADDRESSES: Final = frozenset({"pc", "far", "addr", "ipa"})
_IN_DECIMAL: Final = frozenset({"len", "is_write", "ndata", "vcpu"})


def conditions(expected: ExpectedExit, names: Names) -> list[str]:
    """Those that the exit must meet, the one that says what it is first; none for any exit.

    Raises :class:`Unexportable`.
    """
    checks = {check.field: check for check in expected.checks}
    out = list(_head(expected, checks, names))
    for check in checks.values():
        out += _check(check, expected.kind, names)
    out += [register(check, names) for check in expected.regs]
    return out


def register(check: RegisterCheck, names: Names) -> str:
    """That a register has a value."""
    if names.width(check.reg) > 8:
        high, low = divmod(check.value, 1 << 64)
        return f"is_wide_reg({names.register(check.reg)}, {high:#x}, {low:#x})"
    value = names.address(check.value) if check.reg == "pc" else f"{check.value:#x}"
    return f"same(get_reg({names.register(check.reg)}), {value})"


def _head(expected: ExpectedExit, checks: dict[str, Check], names: Names) -> Iterator[str]:
    """What kind of exit it is; takes those of ``checks`` away that this says."""
    if (failing := checks.pop("errno", None)) is not None:
        yield f"failed_with({error(_number(failing))})"
    elif (failing := checks.pop("ret", None)) is not None:
        yield "failed()" if failing.value else "returned()"
    elif expected.kind != "any":
        reason = checks.pop("exit", None)
        if reason is None:
            yield "returned()"
            return
        handler = _EXITS.get(str(reason.value))
        named = handler(checks, names) if handler is not None else None
        yield named or f"is_exit({exit_reason(str(reason.value))})"
    elif not speaks_of_result(expected):
        yield "returned()"


def _debug(checks: dict[str, Check], names: Names) -> str | None:
    hsr, pc = checks.get("hsr"), checks.get("pc")
    if hsr is None or pc is None or hsr.mask is None or hsr.mask & esr.EC_MASK != esr.EC_MASK:
        return None
    named = _CLASSES.get(esr.class_of(_number(hsr)))
    if named is None:
        return None
    del checks["pc"]
    if hsr.mask == esr.EC_MASK:
        del checks["hsr"]
    return f"{named}({names.address(_number(pc))})"


def _mmio(checks: dict[str, Check], names: Names) -> str | None:
    if "is_write" not in checks or "addr" not in checks:
        return None
    way = "write" if checks.pop("is_write").value else "read"
    return f"is_mmio_{way}({names.address(_number(checks.pop('addr')))})"


def _system_event(checks: dict[str, Check], names: Names) -> str | None:
    if "type" not in checks:
        return None
    kind = _number(checks.pop("type"))
    return f"is_system_event({_EVENTS.get(kind, str(kind))})"


_EXITS: Final = {"DEBUG": _debug, "MMIO": _mmio, "SYSTEM_EVENT": _system_event}


def _check(check: Check, kind: str, names: Names) -> Iterator[str]:
    value = check.value
    if check.field == "exit":
        yield f"same(run->exit_reason, {exit_reason(str(value))})"
    elif isinstance(value, bytes):
        yield _data(value)
    elif isinstance(value, tuple):
        yield f"same(run->system_event.ndata, {len(value)})"
        for n, item in enumerate(value):
            yield f"same(run->system_event.data[{n}], {number(item)})"
    elif check.mask is not None and check.field == "hsr":
        yield _syndrome(_number(check), check.mask)
    else:
        field = (_OF_HYPERCALL if kind == "hypercall" else _FIELDS).get(check.field)
        field = field or _FIELDS.get(check.field)
        if field is None or not isinstance(value, int):
            raise Unexportable(f"a check of {check.field}")
        yield f"same({field}, {_value(check.field, value, names)})"


def _value(field: str, value: int, names: Names) -> str:
    if field in _ADDRESSES:
        return names.address(value)
    return str(value) if field in _IN_DECIMAL else number(value)


def _data(value: bytes) -> str:
    if len(value) in (1, 2, 4, 8):
        return f"same(written_data({len(value)}), {int.from_bytes(value, 'little'):#x})"
    return f'same_bytes("mmio.data", run->mmio.data, {byte_string(value)}, {len(value)})'


def _syndrome(value: int, mask: int) -> str:
    """The bits beside the exception class, which the head has said."""
    rest = mask & ~esr.EC_MASK
    ec = esr.class_of(value)
    if ec == esr.EC_SOFTSTP_LOW and rest == esr.STEP_ISV:
        return f"same(ESR_STEP_ISV(run->debug.arch.hsr), {int(bool(value & esr.STEP_ISV))})"
    if ec == esr.EC_BRK64 and rest == esr.BRK_IMMEDIATE:
        return f"same(ESR_BRK_IMM(run->debug.arch.hsr), {number(value & rest)})"
    if ec == esr.EC_WATCHPT_LOW and rest == esr.WNR:
        return f"same(ESR_WNR(run->debug.arch.hsr), {int(bool(value & esr.WNR))})"
    return f"same(run->debug.arch.hsr & {mask:#x}, {value & mask:#x})"


def _number(check: Check) -> int:
    if not isinstance(check.value, int):
        raise Unexportable(f"a check of {check.field} that is no number")
    return check.value

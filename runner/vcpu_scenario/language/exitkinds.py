"""The kinds of exits that the language has, each lowered to checks on the fields of a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.expectation import Check
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.language.errno import read_errno
from vcpu_scenario.language.exitvariant import Variant
from vcpu_scenario.language.memory import read_hex
from vcpu_scenario.language.nodes import Node, Scalar, Sequence, text_of
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted

_EC: Final = 0xFC00_0000
_MOST_DATA: Final = 8

_DEBUG: Final = {
    "step": esr.EC_SOFTSTP_LOW,
    "brk": esr.EC_BRK64,
    "hardware_breakpoint": esr.EC_BREAKPT_LOW,
    "watchpoint": esr.EC_WATCHPT_LOW,
}


def _debug(variant: Variant) -> None:
    body = variant.body
    variant.checks.append(_is("exit", "DEBUG", variant))
    cause = variant.one_of(tuple(_DEBUG), 0)
    variant.only_with(("after_emulation",), "step")
    variant.only_with(("imm",), "brk")
    if cause is not None:
        variant.only_with(("access",), "watchpoint")
        _debug_cause(variant, cause)
        where = body.get(cause.text)
        assert where is not None
        variant.check("pc", variant.scope.address(where), where)
    elif (access := body.key("access")) is not None:
        _debug_cause(variant, access)
    variant.word("hsr", bits=32)
    variant.word("hsr_high", bits=32)
    variant.address("far")
    variant.word("flags", bits=16)
    pc = body.key("pc")
    if cause is not None and pc is not None:
        variant.scope.problems.add(
            f"{quoted(cause.text)} already says where pc is", pc.span, help="leave `pc` out"
        )


def _debug_cause(variant: Variant, cause: Scalar) -> None:
    """Checks the syndrome of a cause; `access` alone is that of a watchpoint, wherever it is."""
    name = cause.text if cause.text in _DEBUG else "watchpoint"
    value, mask = _DEBUG[name] << 26, _EC
    key, bits, mask_of = _REFINED.get(name, ("", _no_bits, 0))
    refined = variant.body.get(key)
    if refined is None:
        variant.checks.append(Check("hsr", value, cause.text, cause.span, mask))
    else:
        written = f"{key}: {refined.text if isinstance(refined, Scalar) else ''}"
        value |= bits(refined, variant.scope)
        variant.checks.append(Check("hsr", value, written, refined.span, mask | mask_of))


def _no_bits(node: Node, scope: Scope) -> int:
    return 0


_REFINED: Final[Mapping[str, tuple[str, Callable[[Node, Scope], int], int]]] = {
    "step": (
        "after_emulation",
        lambda node, scope: 0 if scope.flag(node) else esr.STEP_ISV,
        esr.STEP_ISV,
    ),
    "brk": ("imm", lambda node, scope: scope.word(node, 16), esr.BRK_IMMEDIATE),
    "watchpoint": (
        "access",
        lambda node, scope: esr.WNR if text_of(node) == "write" else 0,
        esr.WNR,
    ),
}


def _is(name: str, value: int | str, variant: Variant) -> Check:
    return Check(name, value, variant.key.text, variant.key.span)


def _mmio(variant: Variant) -> None:
    variant.checks.append(_is("exit", "MMIO", variant))
    way = variant.one_of(("read", "write"), 1)
    variant.only_with(("reply",), "read")
    variant.only_with(("data", "data_bytes"), "write")
    variant.only_with(("data",), "len")
    if way is not None:
        is_write = int(way.text == "write")
        variant.checks.append(Check("is_write", is_write, way.text, way.span))
        variant.address(way.text, "addr")
    width = variant.scope.width(variant.body.get("len"))
    variant.word("len", bits=32)
    if (data := variant.body.get("data")) is not None:
        value = variant.scope.word(data, 8 * width)
        variant.check("data", value.to_bytes(width, "little"), data)
    if (raw := variant.body.get("data_bytes")) is not None:
        read = read_hex(raw, variant.scope)
        if not read and not text_of(raw).strip():
            variant.scope.problems.add(
                "this compares no bytes", raw.span, expected="at least one byte"
            )
        if len(read) > _MOST_DATA:
            variant.scope.problems.add(
                "a write has no so many bytes",
                raw.span,
                found=f"{len(read)} bytes",
                expected=f"at most {_MOST_DATA}, all of run->mmio.data",
            )
        variant.check("data", read[:_MOST_DATA], raw)


def _system_event(variant: Variant) -> None:
    variant.checks.append(_is("exit", "SYSTEM_EVENT", variant))
    if (kind := variant.body.get("type")) is not None:
        named = abi.SYSTEM_EVENTS.get(text_of(kind))
        variant.check("type", variant.scope.word(kind, 32) if named is None else named, kind)
    variant.word("ndata", bits=32)
    data = variant.body.get("data")
    if isinstance(data, Sequence):
        variant.check("data", tuple(map(variant.scope.word, data.items)), data)


def _arm_nisv(variant: Variant) -> None:
    variant.checks.append(_is("exit", "ARM_NISV", variant))
    variant.word("esr_iss", "iss")
    variant.address("fault_ipa", "ipa")


def _hypercall(variant: Variant) -> None:
    variant.checks.append(_is("exit", "HYPERCALL", variant))
    variant.word("nr")
    variant.word("flags")


def _interrupted(variant: Variant) -> None:
    variant.checks.append(_is("errno", ERRNOS["EINTR"], variant))
    _stale_exit(variant)


def _error(variant: Variant) -> None:
    errno = variant.body.get("errno")
    if errno is None:
        variant.checks.append(_is("ret", -1, variant))
    else:
        variant.check("errno", read_errno(errno, variant.scope), errno)
    _stale_exit(variant)


def _stale_exit(variant: Variant) -> None:
    if (name := variant.body.get("exit")) is not None:
        variant.check("exit", text_of(name), name)


KINDS: Final[Mapping[str, Callable[[Variant], None]]] = {
    "debug": _debug,
    "mmio": _mmio,
    "system_event": _system_event,
    "arm_nisv": _arm_nisv,
    "hypercall": _hypercall,
    "interrupted": _interrupted,
    "error": _error,
    "any": _stale_exit,
}

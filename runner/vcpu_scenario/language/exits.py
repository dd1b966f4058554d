"""Expected exits: each variant of the language, lowered to checks on the fields of a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vcpu_scenario.arm64 import esr
from vcpu_scenario.case import Action, SetMmioData
from vcpu_scenario.expectation import Check, ExpectedExit, RegisterCheck
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.language.actions import Doings, read_actions
from vcpu_scenario.language.errno import read_errno
from vcpu_scenario.language.memory import read_hex
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import Span, quoted

_EC: Final = 0xFC00_0000


class ReadExit(NamedTuple):
    """An expected exit, and what the VMM does after it."""

    expected: ExpectedExit
    actions: tuple[Action, ...]
    acting: Span | None
    """The text that asks for the actions, where there are any."""


@dataclass(slots=True)
class _Variant:
    """One entry of ``exits:`` while its checks are gathered."""

    key: Scalar
    body: Map
    doings: Doings
    whole: bool = True
    """It says all that such an entry has to; a pattern need not."""
    checks: list[Check] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        return self.doings.scope

    def check(
        self,
        name: str,
        value: int | str | bytes | tuple[int, ...],
        at: Node,
        mask: int | None = None,
    ) -> None:
        written = at.text.strip() if isinstance(at, Scalar) else ""
        self.checks.append(Check(name, value, written, at.span, mask))

    def word(self, key: str, name: str = "", bits: int = 64) -> None:
        """Checks that a field is the number under ``key``, if there is one."""
        if (node := self.body.get(key)) is not None:
            self.check(name or key, self.scope.word(node, bits), node)

    def address(self, key: str, name: str = "") -> None:
        if (node := self.body.get(key)) is not None:
            self.check(name or key, self.scope.address(node), node)

    def only_with(self, keys: tuple[str, ...], other: str) -> None:
        """Reports each of ``keys`` that stands here without ``other``."""
        if self.body.get(other) is not None or self.body.faulty:
            return
        for name in keys:
            if (key := self.body.key(name)) is not None:
                self.scope.problems.add(
                    f"{quoted(name)} only goes with {quoted(other)}",
                    key.span,
                    expected=f"a key {quoted(other)} beside it",
                )

    def one_of(self, keys: tuple[str, ...], least: int) -> Scalar | None:
        """The only one of ``keys`` that is there; reports more than one, or fewer than least."""
        present = [key for key, _ in self.body.entries if key.text in keys]
        least = least if self.whole else 0
        if len(present) > 1 or (len(present) < least and not self.body.faulty):
            self.scope.problems.add(
                f"{quoted(self.key.text)} has {'exactly' if least else 'at most'} one of "
                + ", ".join(keys),
                present[1].span if len(present) > 1 else self.key.span,
                found=", ".join(key.text for key in present) or "none of them",
                help="" if present else "`any: {exit: MMIO}` is one of either kind",
            )
        return present[0] if present else None


@dataclass(frozen=True, slots=True)
class ExitReader:
    """Reads exits; one that stands in several variants of a clause is read once."""

    _read: dict[int, tuple[Map, ReadExit]] = field(default_factory=dict)
    """By the identity of their nodes, which are kept, so that no other node can have it."""

    def exits(self, node: Node | None, doings: Doings) -> tuple[ReadExit, ...] | None:
        """The exits that the list ``node`` describes; None where there is no list."""
        if not isinstance(node, Sequence):
            return None
        return tuple(
            self._exit(key, value, doings)
            for item in node.items
            if isinstance(item, Map)
            for key, value in item.entries
            if isinstance(value, Map)
        )

    def _exit(self, key: Scalar, body: Map, doings: Doings) -> ReadExit:
        known = self._read.get(id(body))
        if known is not None:
            return known[1]
        problems = doings.scope.problems
        before = problems.reports
        read = _exit(key, body, doings)
        # What actions do to memory and what is wrong belongs to each variant.
        if problems.reports == before and body.get("then") is None:
            self._read[id(body)] = body, read
        return read


def read_pattern(node: Node, doings: Doings) -> ExpectedExit | None:
    """What the mapping ``node`` says of the exits that an action waits for."""
    entries = node.entries if isinstance(node, Map) else ()
    bodies = ((key, body) for key, body in entries if isinstance(body, Map))
    return next((_exit(key, body, doings, whole=False).expected for key, body in bodies), None)


def _exit(key: Scalar, body: Map, doings: Doings, *, whole: bool = True) -> ReadExit:
    variant = _Variant(key, body, doings, whole)
    _VARIANTS[key.text](variant)
    variant.address("pc")
    _vcpu(variant)
    least, most = _repeat(body.get("repeat"), doings.scope)
    start, end = key.span, body.span
    span = Span(start.file, start.line, start.column, end.end_line, end.end_column)
    note = body.get("note")
    expected = ExpectedExit(
        key.text,
        tuple(variant.checks),
        read_register_checks(body.get("regs"), doings.scope),
        span,
        least,
        most,
        note.text if isinstance(note, Scalar) else "",
    )
    then, reply = body.get("then"), body.get("reply")
    actions = read_actions(then, doings)
    if reply is not None:
        actions = (SetMmioData(doings.scope.word(reply)), *actions)
    acting = reply if reply is not None else then
    return ReadExit(expected, actions, acting.span if acting is not None and actions else None)


def _vcpu(variant: _Variant) -> None:
    """Whose exit it is, where there are several vCPUs."""
    node, scope = variant.body.get("vcpu"), variant.scope
    number = 0 if node is None else scope.number(node, high=scope.last_vcpu)
    if not scope.last_vcpu:
        return  # all exits are of the one, and do not say so
    if node is not None:
        variant.check("vcpu", number, node)
    elif scope.vcpus > 1 and variant.whole and variant.key.text != "any":
        variant.check("vcpu", number, variant.key)


def read_register_checks(node: Node | None, scope: Scope) -> tuple[RegisterCheck, ...]:
    """``{x1: 0x90}`` as checks of registers' values."""
    return tuple(
        RegisterCheck(name, number, _text(value), value.span)
        for name, number, value in scope.registers(node)
    )


def _repeat(node: Node | None, scope: Scope) -> tuple[int, int | None]:
    if node is None:
        return 1, 1
    if not isinstance(node, Map):
        times = scope.number(node, low=1, high=1_000_000)
        return times, times
    least, most = node.get("least"), node.get("most")
    low = scope.number(least, high=1_000_000) if least is not None else 1
    if most is None:
        return low, None
    high = scope.number(most, low=1, high=1_000_000)
    if high < low:
        scope.problems.add(
            "the most is less than the least", most.span, found=f"{high} after {low}"
        )
    return low, high


_DEBUG: Final = {
    "step": esr.EC_SOFTSTP_LOW,
    "brk": esr.EC_BRK64,
    "hardware_breakpoint": esr.EC_BREAKPT_LOW,
    "watchpoint": esr.EC_WATCHPT_LOW,
}


def _debug(variant: _Variant) -> None:
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


def _debug_cause(variant: _Variant, cause: Scalar) -> None:
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
    "watchpoint": ("access", lambda node, scope: esr.WNR if _text(node) == "write" else 0, esr.WNR),
}


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _is(name: str, value: int | str, variant: _Variant) -> Check:
    return Check(name, value, variant.key.text, variant.key.span)


def _mmio(variant: _Variant) -> None:
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
        if not _text(raw).strip():
            variant.scope.problems.add(
                "this compares no bytes", raw.span, expected="at least one byte"
            )
        variant.check("data", read_hex(raw, variant.scope)[:8], raw)


_EVENTS: Final = {
    "shutdown": abi.KVM_SYSTEM_EVENT_SHUTDOWN,
    "reset": abi.KVM_SYSTEM_EVENT_RESET,
    "crash": abi.KVM_SYSTEM_EVENT_CRASH,
    "wakeup": abi.KVM_SYSTEM_EVENT_WAKEUP,
    "suspend": abi.KVM_SYSTEM_EVENT_SUSPEND,
}


def _system_event(variant: _Variant) -> None:
    variant.checks.append(_is("exit", "SYSTEM_EVENT", variant))
    if (kind := variant.body.get("type")) is not None:
        named = _EVENTS.get(_text(kind))
        variant.check("type", variant.scope.word(kind, 32) if named is None else named, kind)
    variant.word("ndata", bits=32)
    data = variant.body.get("data")
    if isinstance(data, Sequence):
        variant.check("data", tuple(map(variant.scope.word, data.items)), data)


def _arm_nisv(variant: _Variant) -> None:
    variant.checks.append(_is("exit", "ARM_NISV", variant))
    variant.word("esr_iss", "iss")
    variant.address("fault_ipa", "ipa")


def _hypercall(variant: _Variant) -> None:
    variant.checks.append(_is("exit", "HYPERCALL", variant))
    variant.word("nr")
    variant.word("flags")


def _interrupted(variant: _Variant) -> None:
    variant.checks.append(_is("errno", ERRNOS["EINTR"], variant))
    _stale_exit(variant)


def _error(variant: _Variant) -> None:
    errno = variant.body.get("errno")
    if errno is None:
        variant.checks.append(_is("ret", -1, variant))
    else:
        variant.check("errno", read_errno(errno, variant.scope), errno)
    _stale_exit(variant)


def _stale_exit(variant: _Variant) -> None:
    if (name := variant.body.get("exit")) is not None:
        variant.check("exit", _text(name), name)


_VARIANTS: Final[Mapping[str, Callable[[_Variant], None]]] = {
    "debug": _debug,
    "mmio": _mmio,
    "system_event": _system_event,
    "arm_nisv": _arm_nisv,
    "hypercall": _hypercall,
    "interrupted": _interrupted,
    "error": _error,
    "any": _stale_exit,
}

"""Guest debug requests, and what the VMM does between two runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from vcpu_scenario.case import (
    Action,
    AddMemslot,
    GuestDebug,
    HostInterrupt,
    ImmediateExit,
    SetGuestDebug,
    SetIrqLine,
    SetMmioData,
    SetMpState,
    SetRegister,
    SetRunField,
    SetVcpuEvents,
    SkipInstruction,
    Watchpoint,
    WriteMemory,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.memory import Bytes, Memory, joined, read_placed, read_slot
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.scope import Scope


@dataclass(slots=True)
class Doings:
    """What reading actions takes, and what they do to memory, for checking once all is read."""

    scope: Scope
    folder: Folder
    written: list[Bytes] = field(default_factory=list)
    added: Memory = field(default_factory=Memory)

    def branch(self) -> Doings:
        """The same so far, for one of several courses that a run may take from here."""
        added = joined(self.added, Memory())
        return Doings(self.scope, self.folder, list(self.written), added)


def read_actions(node: Node | None, doings: Doings) -> tuple[Action, ...]:
    """The actions that the list ``node`` describes."""
    items = node.items if isinstance(node, Sequence) else ()
    return tuple(
        action
        for item in items
        if isinstance(item, Map)
        for key, value in item.entries
        for action in _ACTIONS[key.text](value, doings)
    )


def read_guest_debug(node: Node | None, scope: Scope) -> GuestDebug:
    """The ``KVM_SET_GUEST_DEBUG`` that the mapping ``node`` describes."""
    if not isinstance(node, Map):
        return GuestDebug()
    control = 0
    for key, flag, default in _FLAGS:
        if scope.flag(node.get(key), default):
            control |= flag
    breakpoints, watchpoints = node.get("hardware_breakpoints"), node.get("watchpoints")
    if breakpoints is not None or watchpoints is not None:
        control |= abi.KVM_GUESTDBG_USE_HW
    return GuestDebug(
        control,
        tuple(map(scope.address, _items(breakpoints))),
        tuple(_watchpoint(item, scope) for item in _items(watchpoints) if isinstance(item, Map)),
    )


_FLAGS: Final = (
    ("enable", abi.KVM_GUESTDBG_ENABLE, True),
    ("single_step", abi.KVM_GUESTDBG_SINGLESTEP, False),
    ("software_breakpoints", abi.KVM_GUESTDBG_USE_SW_BP, False),
)
_ACCESS: Final[Mapping[str, Literal["r", "w", "rw"]]] = {
    "read": "r",
    "write": "w",
    "readwrite": "rw",
}


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def _watchpoint(item: Map, scope: Scope) -> Watchpoint:
    at, len_node, access = item.get("at"), item.get("len"), item.get("access")
    addr = scope.address(at)
    length = scope.number(len_node, low=1, high=1 << 31)
    if length <= 8:
        fits = addr % 8 + length <= 8
    else:
        fits = length & length - 1 == 0 and addr % length == 0
    if not fits and len_node is not None:
        scope.problems.add(
            "no watchpoint covers these bytes",
            len_node.span,
            found=f"{length} bytes at {addr:#x}",
            expected="up to 8 bytes within a doubleword, "
            "or a power of two at an address that is its multiple",
        )
    return Watchpoint(
        addr, length, _ACCESS[access.text if isinstance(access, Scalar) else "readwrite"]
    )


def _debug(node: Node, doings: Doings) -> Iterable[Action]:
    return [SetGuestDebug(read_guest_debug(node, doings.scope))]


def _set(node: Node, doings: Doings) -> Iterable[Action]:
    return [SetRegister(name, value) for name, value, _ in doings.scope.registers(node)]


def _write(node: Node, doings: Doings) -> Iterable[Action]:
    written = read_placed(node, doings.scope, doings.folder)
    doings.written.append(written)
    return [WriteMemory(written.addr, written.data)]


def _line(level: int) -> Callable[[Node, Doings], Iterable[Action]]:
    def read(node: Node, doings: Doings) -> Iterable[Action]:
        entries = node.entries if isinstance(node, Map) else ()
        return [SetIrqLine(_LINES[key.text](value, doings.scope), level) for key, value in entries]

    return read


def _spi(node: Node, scope: Scope) -> int:
    intid = scope.number(node, low=32, high=1019)
    return abi.KVM_ARM_IRQ_TYPE_SPI << abi.KVM_ARM_IRQ_TYPE_SHIFT | intid


def _ppi(node: Node, scope: Scope) -> int:
    intid = scope.number(node, low=16, high=31)
    return abi.KVM_ARM_IRQ_TYPE_PPI << abi.KVM_ARM_IRQ_TYPE_SHIFT | intid


def _cpu(node: Node, scope: Scope) -> int:
    number = 1 if isinstance(node, Scalar) and node.text == "fiq" else 0
    return abi.KVM_ARM_IRQ_TYPE_CPU << abi.KVM_ARM_IRQ_TYPE_SHIFT | number


_LINES: Final = {"spi": _spi, "ppi": _ppi, "cpu": _cpu}


def _mmio_data(node: Node, doings: Doings) -> Iterable[Action]:
    return [SetMmioData(doings.scope.word(node))]


_FORGED: Final[Mapping[str, tuple[Literal["exit_reason", "mmio.is_write", "mmio.len"], int]]] = {
    "exit_reason": ("exit_reason", 32),
    "is_write": ("mmio.is_write", 8),
    "len": ("mmio.len", 32),
}


def _forge(node: Node, doings: Doings) -> Iterable[Action]:
    entries = node.entries if isinstance(node, Map) else ()
    for key, value in entries:
        name, bits = _FORGED[key.text]
        yield SetRunField(name, doings.scope.word(value, bits))


def _vcpu_events(node: Node, doings: Doings) -> Iterable[Action]:
    assert isinstance(node, Map)
    scope, esr = doings.scope, node.get("serror_esr")
    yield SetVcpuEvents(
        scope.flag(node.get("external_abort")),
        scope.flag(node.get("serror")),
        None if esr is None else scope.word(esr),
    )


_MP_STATES: Final = {
    "runnable": abi.KVM_MP_STATE_RUNNABLE,
    "stopped": abi.KVM_MP_STATE_STOPPED,
    "suspended": abi.KVM_MP_STATE_SUSPENDED,
}


def _mp_state(node: Node, doings: Doings) -> Iterable[Action]:
    assert isinstance(node, Scalar)
    return [SetMpState(_MP_STATES[node.text])]


def _add_memory(node: Node, doings: Doings) -> Iterable[Action]:
    assert isinstance(node, Map)
    before = doings.scope.problems.reports
    slot, span = read_slot(node, doings.scope)
    if doings.scope.problems.reports > before:
        doings.added.complete = False
    else:
        doings.added.add(slot, span)
    return [AddMemslot(slot)]


_ACTIONS: Final[Mapping[str, Callable[[Node, Doings], Iterable[Action]]]] = {
    "debug": _debug,
    "set": _set,
    "write": _write,
    "raise": _line(1),
    "lower": _line(0),
    "immediate_exit": lambda node, doings: [ImmediateExit()],
    "mmio_data": _mmio_data,
    "forge": _forge,
    "skip_instruction": lambda node, doings: [SkipInstruction()],
    "vcpu_events": _vcpu_events,
    "mp_state": _mp_state,
    "add_memory": _add_memory,
    "host_interrupt": lambda node, doings: [HostInterrupt()],
}

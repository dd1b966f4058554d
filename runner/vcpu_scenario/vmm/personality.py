"""Personalities of VMMs: what a debugger attached to one is told of a run.

None of them changes what KVM does: QEMU switches single-step off and on again around a stop
(``gdb_vm_state_change``), which leaves a pending step as it was. So stops are read off a trace.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Final

from vcpu_scenario.case import Case, SetGuestDebug
from vcpu_scenario.kvm.abi import KVM_GUESTDBG_SINGLESTEP
from vcpu_scenario.trace import Exit, Stop, Trace

_EC_SHIFT: Final = 26
_EC_SOFTWARE_STEP: Final = 0x32

REASONS: Final = {
    0x30: "hardware_breakpoint",
    _EC_SOFTWARE_STEP: "step",
    0x34: "watchpoint",
    0x38: "brk",
    0x3C: "brk",
}
"""Exception classes of ``KVM_EXIT_DEBUG`` and why a debugger is told that the vCPU stopped."""


def stops_of(personality: str, case: Case, trace: Trace) -> tuple[Stop, ...]:
    """The stops that a debugger attached to the VMM ``personality`` is told, in order.

    Raises KeyError for a personality that is not in :data:`PERSONALITIES`.
    """
    reason_of = PERSONALITIES[personality]
    stepped = stepped_entries(case)
    registers: dict[str, int] = {}
    stops = []
    for index, exit_ in enumerate(trace.exits):
        registers = {**registers, **exit_.regs}
        reason = reason_of(exit_, stepped(index))
        if exit_.ret == 0 and reason:
            stops.append(Stop(exit_.pc, reason, registers, index))
    return tuple(stops)


def stepped_entries(case: Case) -> Callable[[int], bool]:
    """Tells of each exit whether single-step was asked for when the vCPU was entered before it."""
    changes = [(0, bool(case.debug and case.debug.control & KVM_GUESTDBG_SINGLESTEP))]
    requests = [(0, case.before), *((index + 1, actions) for index, actions in sorted(case.on))]
    for entry, actions in requests:
        changes += [
            (entry, bool(action.debug.control & KVM_GUESTDBG_SINGLESTEP))
            for action in actions
            if isinstance(action, SetGuestDebug)
        ]
    entries = [entry for entry, _ in changes]
    return lambda exit_: changes[bisect_right(entries, exit_) - 1][1]


def _plain(exit_: Exit, stepped: bool) -> str:
    """Tells the debugger of every ``KVM_EXIT_DEBUG``."""
    if exit_.exit != "DEBUG":
        return ""
    return REASONS.get(exit_.fields["hsr"] >> _EC_SHIFT & 0x3F, "")


def _qemu(exit_: Exit, stepped: bool) -> str:
    """``kvm_arm_handle_debug``: a step that nobody asked for is an error, and no stop."""
    reason = _plain(exit_, stepped)
    return "" if reason == "step" and not stepped else reason


def _qemu_2017(exit_: Exit, stepped: bool) -> str:
    """QEMU with the patch of 2017 leaves its run loop with ``EXCP_DEBUG`` after MMIO as well."""
    return "step" if exit_.exit == "MMIO" and stepped else _qemu(exit_, stepped)


PERSONALITIES: Final[Mapping[str, Callable[[Exit, bool], str]]] = {
    "plain": _plain,
    "qemu": _qemu,
    "qemu-2017": _qemu_2017,
}
"""Each names the reason for a stop at an exit, empty where there is none; it is told whether
single-step was on."""

"""Personalities of VMMs: what a debugger attached to one is told of a run, and what it does to it.

QEMU kicks its vCPU thread at pause and at resume, so the first ``KVM_RUN`` after every stop has
``immediate_exit`` set and returns EINTR (``cpu_pause``, ``qemu_cpu_kick``, seen in QEMU 7.2.22 and
10.0.13 under every kernel from 5.10 to 7.2). KVM completes a pending access in that run, and what
else it does or loses there the guest and the debugger see. So :func:`kicks` is asked by the run
loop, on the emulated machine and on the real one.

Not acted yet: QEMU gives a BRK that no debugger set, and a watchpoint hit that it does not know as
its own, to the guest, which goes on at its vector. They are no stops here, and the run goes on as
its scenario says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from vcpu_scenario.case import Case, GuestDebug, SetGuestDebug
from vcpu_scenario.kvm.abi import KVM_GUESTDBG_SINGLESTEP
from vcpu_scenario.trace import Exit, Stop, Trace

_EC_SHIFT: Final = 26
_EC_SOFTWARE_STEP: Final = 0x32
_IMMEDIATE: Final = 0xFFFF

REASONS: Final = {
    0x30: "hardware_breakpoint",
    _EC_SOFTWARE_STEP: "step",
    0x34: "watchpoint",
    0x38: "brk",
    0x3C: "brk",
}
"""Exception classes of ``KVM_EXIT_DEBUG`` and why a debugger is told that the vCPU stopped."""

ReasonOf: TypeAlias = Callable[[Exit, GuestDebug | None], str]
"""Why the debugger is told of a stop at an exit, empty where it is not; given the guest debug that
was in force at the entry before it."""


@dataclass(frozen=True, slots=True)
class Personality:
    """``kicks``: the first ``KVM_RUN`` after each stop has ``immediate_exit`` set."""

    reason_of: ReasonOf
    kicks: bool = False


def stops_of(personality: str, case: Case, trace: Trace) -> tuple[Stop, ...]:
    """The stops that a debugger attached to the VMM ``personality`` is told, in order.

    Raises KeyError for a personality that is not in :data:`PERSONALITIES`.
    """
    reason_of = PERSONALITIES[personality].reason_of
    debug_at = entered_with(case)
    registers: dict[str, int] = {}
    stops = []
    for index, exit_ in enumerate(trace.exits):
        registers = {**registers, **exit_.regs}
        reason = reason_of(exit_, debug_at(index)) if exit_.ret == 0 else ""
        if reason:
            stops.append(Stop(exit_.pc, reason, registers, index))
    return tuple(stops)


def kicks(case: Case) -> Callable[[int, Exit], bool]:
    """Tells of exit number ``index`` whether the VMM's next ``KVM_RUN`` is one that only returns.

    Raises KeyError as :func:`stops_of` does.
    """
    personality = PERSONALITIES[case.vmm]
    if not personality.kicks:
        return lambda index, exit_: False
    debug_at = entered_with(case)
    return lambda index, exit_: (
        exit_.ret == 0 and bool(personality.reason_of(exit_, debug_at(index)))
    )


def entered_with(case: Case) -> Callable[[int], GuestDebug | None]:
    """Tells of each exit which guest debug was in force when the vCPU was entered before it."""
    changes = [(0, case.debug)]
    requests = [(0, case.before), *((index + 1, actions) for index, actions in sorted(case.on))]
    for entry, actions in requests:
        changes += [
            (entry, action.debug) for action in actions if isinstance(action, SetGuestDebug)
        ]
    entries = [entry for entry, _ in changes]
    return lambda exit_: changes[bisect_right(entries, exit_) - 1][1]


def stepped_entries(case: Case) -> Callable[[int], bool]:
    """Tells of each exit whether single-step was asked for when the vCPU was entered before it."""
    debug_at = entered_with(case)
    return lambda exit_: _stepping(debug_at(exit_))


def _stepping(debug: GuestDebug | None) -> bool:
    return debug is not None and bool(debug.control & KVM_GUESTDBG_SINGLESTEP)


def _plain(exit_: Exit, debug: GuestDebug | None) -> str:
    """Tells the debugger of every ``KVM_EXIT_DEBUG``."""
    if exit_.exit != "DEBUG":
        return ""
    return REASONS.get(exit_.fields["hsr"] >> _EC_SHIFT & 0x3F, "")


def _qemu(exit_: Exit, debug: GuestDebug | None) -> str:
    """``kvm_arm_handle_debug``: a step that nobody asked for is an error, and no stop; a BRK is one
    of the debugger's if it is ``BRK #0``, which QEMU writes; and a watchpoint hit is known by
    ``far`` being the first byte that is watched."""
    reason = _plain(exit_, debug)
    known = _KNOWN_TO_QEMU.get(reason)
    return reason if known is None or known(exit_, debug) else ""


_KNOWN_TO_QEMU: Final[Mapping[str, Callable[[Exit, GuestDebug | None], bool]]] = {
    "step": lambda exit_, debug: _stepping(debug),
    "brk": lambda exit_, debug: not exit_.fields["hsr"] & _IMMEDIATE,
    "watchpoint": lambda exit_, debug: (
        debug is not None and exit_.fields["far"] in {watch.addr for watch in debug.watch}
    ),
}


def _qemu_2017(exit_: Exit, debug: GuestDebug | None) -> str:
    """QEMU with the patch of 2017 leaves its run loop with ``EXCP_DEBUG`` after MMIO as well: it
    stops before the access is complete, from 5.0 on with pc at it."""
    return "step" if exit_.exit == "MMIO" and _stepping(debug) else _qemu(exit_, debug)


PERSONALITIES: Final[Mapping[str, Personality]] = {
    "plain": Personality(_plain),
    "qemu": Personality(_qemu, kicks=True),
    "qemu-2017": Personality(_qemu_2017, kicks=True),
}

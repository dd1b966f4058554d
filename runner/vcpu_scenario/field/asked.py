"""What the VMM asked of guest debug, as far as a trace shows it or its debug exits tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, cast

from vcpu_scenario.field.exits import cause
from vcpu_scenario.field.records import Debugging, Seen
from vcpu_scenario.ioctls.vcpu import GuestDebug, Watchpoint
from vcpu_scenario.kvm import abi

_KNOWN: Final = (
    abi.KVM_GUESTDBG_ENABLE
    | abi.KVM_GUESTDBG_SINGLESTEP
    | abi.KVM_GUESTDBG_USE_SW_BP
    | abi.KVM_GUESTDBG_USE_HW
)


def asked_of(exits: Sequence[Seen]) -> Mapping[int, GuestDebug]:
    """The requests that change something, by the number of the exit that each comes before.

    Where there are debug exits and no request is shown, there is one at the start that leads to
    such exits.
    """
    found: dict[int, GuestDebug] = {}
    now = GuestDebug()
    for number, seen in enumerate(exits):
        request = seen.debugging
        if request is None or request.flags is None:
            continue
        asked = _request(request, request.flags, exits[number:])
        if asked != now:
            found[number] = now = asked
    debugged = [seen for seen in exits if seen.exit == "DEBUG" and not seen.errno]
    if debugged and not any(each.control & abi.KVM_GUESTDBG_ENABLE for each in found.values()):
        found[0] = _leading_to(debugged)
    return found


def _request(request: Debugging, flags: int, since: Sequence[Seen]) -> GuestDebug:
    """Later kernels (7.2) do not trace the registers: then there is a breakpoint wherever one was
    hit before the next request."""
    control = flags & _KNOWN
    if not control & abi.KVM_GUESTDBG_USE_HW:
        return GuestDebug(control)
    if not request.breakpoints and not request.watchpoints:
        until = next((n for n, seen in enumerate(since) if n and seen.debugging), len(since))
        return GuestDebug(control, _hit(since[:until]))
    watch = tuple(
        Watchpoint(addr, length, cast(Literal["r", "w", "rw"], way))
        for addr, length, way in request.watchpoints
    )
    return GuestDebug(control, request.breakpoints, watch)


def _leading_to(debugged: Sequence[Seen]) -> GuestDebug:
    causes = {cause(seen) for seen in debugged}
    control = abi.KVM_GUESTDBG_ENABLE
    if causes & {"step", None}:
        control |= abi.KVM_GUESTDBG_SINGLESTEP
    if causes & {"brk", None}:
        control |= abi.KVM_GUESTDBG_USE_SW_BP
    places = _hit(debugged)
    if places:
        control |= abi.KVM_GUESTDBG_USE_HW
    return GuestDebug(control, places)


def _hit(exits: Sequence[Seen]) -> tuple[int, ...]:
    places = (
        seen.facts["left"].value
        for seen in exits
        if seen.exit == "DEBUG" and cause(seen) == "hardware_breakpoint" and "left" in seen.facts
    )
    return tuple(dict.fromkeys(places))[:16]

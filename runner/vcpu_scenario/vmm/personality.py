"""Personalities of VMMs: what each tells a debugger that is attached to it, and what it does.

A personality acts on the machine through its interface alone, as the run loop does: it is the same
on the emulated KVM and on a real one. Of which exits it tells is a matter of the exit and of what
the debugger asked for, and so can be said of a recorded trace as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from vcpu_scenario.case import SetGuestDebug
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit, Stop, StopReason, Trace
from vcpu_scenario.vmm.debugger import Asked, reason_of
from vcpu_scenario.vmm.qemu import Qemu, Qemu2017


class Personality(Protocol):
    """One VMM. What its methods ask for is done before the next ``KVM_RUN``."""

    @property
    def kicks(self) -> bool:
        """Whether the first ``KVM_RUN`` after each stop has ``immediate_exit`` set."""
        ...

    def reason(self, exit_: Exit, asked: Asked) -> StopReason | None:
        """Why the debugger is told of the exit, None where it is not."""
        ...

    def stop(self, asked: Asked) -> tuple[SetGuestDebug, ...]:
        """What the VMM does as it stops for the debugger, before that acts."""
        ...

    def resume(self, asked: Asked) -> tuple[SetGuestDebug, ...]:
        """What it does as it goes on from a stop; ``asked`` is what the debugger now wants."""
        ...

    def gives(self, exit_: Exit) -> bool:
        """Whether an exit of which it does not tell becomes an exception of the guest's."""
        ...

    def give(self, machine: Machine, exit_: Exit) -> None:
        """Makes the guest take that exception."""
        ...


class Plain:
    """A VMM that tells its debugger of every ``KVM_EXIT_DEBUG``, and does nothing of its own."""

    kicks = False

    def reason(self, exit_: Exit, asked: Asked) -> StopReason | None:
        return reason_of(exit_)

    def stop(self, asked: Asked) -> tuple[SetGuestDebug, ...]:
        return ()

    def resume(self, asked: Asked) -> tuple[SetGuestDebug, ...]:
        return ()

    def gives(self, exit_: Exit) -> bool:
        return False

    def give(self, machine: Machine, exit_: Exit) -> None: ...


PERSONALITIES: Final[Mapping[str, Personality]] = {
    "plain": Plain(),
    "qemu": Qemu(),
    "qemu-2017": Qemu2017(),
}


def stops_of(personality: str, trace: Trace) -> tuple[Stop, ...]:
    """The stops that a debugger attached to the VMM ``personality`` is told, in order.

    Raises KeyError for a personality that is not in :data:`PERSONALITIES`.
    """
    vmm = PERSONALITIES[personality]
    registers: dict[str, int] = {}
    stops = []
    for index, (entry, exit_) in enumerate(trace.runs):
        registers = {**registers, **exit_.regs}
        if reason := vmm.reason(exit_, Asked(entry.debug, entry.breakpoints)):
            stops.append(Stop(exit_.pc, reason, registers, index))
    return tuple(stops)

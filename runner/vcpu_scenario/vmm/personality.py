"""Personalities of VMMs: what each tells a debugger that is attached to it, and what it does.

A personality acts on the machine through its interface alone, as the run loop does: it is the same
on the emulated KVM and on a real one. Of which exits it tells is a matter of the exit and of what
the debugger asked for, and so can be said of a recorded trace as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from vcpu_scenario.case import Case
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit, Stop, Trace
from vcpu_scenario.vmm.debugger import Asked, asked_of, reason_of
from vcpu_scenario.vmm.qemu import Qemu, Qemu2017


class Personality(Protocol):
    """One VMM. What its methods do to the machine is done before the next ``KVM_RUN``; they raise
    what the machine raises."""

    @property
    def kicks(self) -> bool:
        """Whether the first ``KVM_RUN`` after each stop has ``immediate_exit`` set."""
        ...

    def reason(self, exit_: Exit, asked: Asked) -> str:
        """Why the debugger is told of the exit, empty where it is not: a reason of a Stop."""
        ...

    def stop(self, machine: Machine, asked: Asked) -> None:
        """What the VMM does as it stops for the debugger, before that acts."""
        ...

    def resume(self, machine: Machine, asked: Asked) -> None:
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

    def reason(self, exit_: Exit, asked: Asked) -> str:
        return reason_of(exit_)

    def stop(self, machine: Machine, asked: Asked) -> None: ...

    def resume(self, machine: Machine, asked: Asked) -> None: ...

    def gives(self, exit_: Exit) -> bool:
        return False

    def give(self, machine: Machine, exit_: Exit) -> None: ...


PERSONALITIES: Final[Mapping[str, Personality]] = {
    "plain": Plain(),
    "qemu": Qemu(),
    "qemu-2017": Qemu2017(),
}


def stops_of(personality: str, case: Case, trace: Trace) -> tuple[Stop, ...]:
    """The stops that a debugger attached to the VMM ``personality`` is told, in order.

    Raises KeyError for a personality that is not in :data:`PERSONALITIES`.
    """
    vmm = PERSONALITIES[personality]
    asked = asked_of(case)
    registers: dict[str, int] = {}
    stops = []
    for index, exit_ in enumerate(trace.exits):
        registers = {**registers, **exit_.regs}
        if reason := vmm.reason(exit_, asked(index)):
            stops.append(Stop(exit_.pc, reason, registers, index))
    return tuple(stops)


def stepped_entries(case: Case) -> Callable[[int], bool]:
    """Tells of each exit whether single-step was asked for when the vCPU was entered before it."""
    asked = asked_of(case)
    return lambda exit_: asked(exit_).stepping

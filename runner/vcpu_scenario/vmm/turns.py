"""Whose turn it is of several vCPUs, and what the run loop last saw of the others."""

from __future__ import annotations

from itertools import chain

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.attached import Asker, Itself


class Turns:
    """The vCPUs of a run, of which one is ``machine``'s at a time."""

    def __init__(self, machine: Machine, count: int) -> None:
        self._machine = machine
        self._count = count
        self.vcpu = 0
        """The one whose turn it is."""
        self._waiting: dict[int, tuple[dict[str, int], Asker]] = {}
        """What was last seen of the others' registers, and who asks for their guest debug."""

    def following(self) -> int | None:
        """The next that is on, the same one where no other is; None where none is, so that
        nothing but a signal ends a KVM_RUN."""
        machine, was = self._machine, self.vcpu
        for number in chain(range(was + 1, self._count), range(was + 1)):
            machine.select(number)
            if machine.mp_state() != abi.KVM_MP_STATE_STOPPED:
                return number
        return None

    def take(self, number: int, last: dict[str, int], vmm: Asker) -> tuple[dict[str, int], Asker]:
        """Has it be the turn of ``number``, and gives what was last seen of it; ``last`` and
        ``vmm`` are of the one whose turn it was."""
        self._machine.select(number)
        self._waiting[self.vcpu] = last, vmm
        self.vcpu = number
        return self._waiting.pop(number, ({}, Itself(self._machine)))

    def go_on_in(self, machine: Machine) -> None:
        """``machine`` has the vCPUs from now on, of which nobody asks for guest debug."""
        self._machine = machine
        others = self._waiting.items()
        self._waiting = {number: (last, Itself(machine)) for number, (last, _) in others}

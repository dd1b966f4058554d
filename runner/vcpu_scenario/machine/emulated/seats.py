"""The vCPUs of a VM that has several: one is on the CPU, the others keep what they had there."""

from __future__ import annotations

from dataclasses import dataclass

from vcpu_scenario.machine.emulated.cpu.core import Cpu
from vcpu_scenario.machine.emulated.cpu.turns import Kept, Turns
from vcpu_scenario.machine.emulated.kvm import guestdebug
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.steps import Steps


@dataclass(slots=True)
class Seat:
    """A vCPU with what counts its steps; ``kept`` is None for the one that is on the CPU."""

    vcpu: Vcpu
    step: guestdebug.StepStates
    steps: Steps
    kept: Kept | None = None


class Seats:
    """All of a VM. ``first``, which is on the CPU, is the first of them."""

    def __init__(self, cpu: Cpu, first: Vcpu, step: guestdebug.StepStates, steps: Steps) -> None:
        self._turns = Turns(cpu)
        self._seats = [Seat(first, step, steps)]
        self._on_cpu = self._seats[0]

    def add(self, vcpu: Vcpu) -> Seat:
        """A further one, which is put on the CPU as the last one has left it."""
        seat = Seat(vcpu, guestdebug.step_states(vcpu), Steps(vcpu))
        self._seats.append(seat)
        self._on_cpu.kept = self._turns.take_off()
        self._on_cpu = seat
        return seat

    def close(self) -> None:
        """The VM is no more."""
        for seat in self._seats:
            if seat.kept is not None:
                self._turns.forget(seat.kept)

    def take(self, number: int) -> Seat:
        """Puts the vCPU of that number on the CPU."""
        seat = self._seats[number]
        if seat is self._on_cpu:
            return seat
        self._on_cpu.kept = self._turns.take_off()
        assert seat.kept is not None
        self._turns.put_on(seat.kept)
        seat.kept = None
        # The guest's or the VMM's debug registers are no longer there.
        seat.vcpu.debug_changed = True
        self._on_cpu = seat
        return seat

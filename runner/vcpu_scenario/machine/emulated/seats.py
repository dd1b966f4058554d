"""The vCPUs of a VM that has several: one is on the CPU, the others keep what they had there."""

from __future__ import annotations

from errno import EBADF

from msgspec import Struct

from vcpu_scenario.machine.emulated.cpu.core import Cpu
from vcpu_scenario.machine.emulated.cpu.turns import Kept, Turns
from vcpu_scenario.machine.emulated.vcpurun import VcpuRun
from vcpu_scenario.machine.errors import KvmError


class _Seat(Struct):
    """``kept`` is None for the vCPU that is on the CPU."""

    run: VcpuRun
    kept: Kept | None = None


class Seats:
    """All of a VM. ``first``, which is on the CPU, is the first of them."""

    def __init__(self, cpu: Cpu, first: VcpuRun) -> None:
        self._turns = Turns(cpu)
        self._on_cpu = _Seat(first)
        self._seats = {first.vcpu.number: self._on_cpu}

    def add(self, run: VcpuRun) -> VcpuRun:
        """A further one, which is put on the CPU as the last one has left it."""
        seat = _Seat(run)
        self._seats[run.vcpu.number] = seat
        self._on_cpu.kept = self._turns.take_off()
        self._on_cpu = seat
        return run

    def close(self) -> None:
        """The VM is no more."""
        for seat in self._seats.values():
            if seat.kept is not None:
                self._turns.forget(seat.kept)

    def take(self, number: int) -> VcpuRun:
        """Puts the vCPU of that number on the CPU."""
        if number not in self._seats:
            raise KvmError(EBADF, f"vCPU {number}")
        seat = self._seats[number]
        if seat is not self._on_cpu:
            self._on_cpu.kept = self._turns.take_off()
            assert seat.kept is not None
            self._turns.put_on(seat.kept)
            seat.kept = None
            # The guest's or the VMM's debug registers are no longer there.
            seat.run.vcpu.debug_changed = True
            self._on_cpu = seat
        return seat.run

"""A VMM's process: each ``KVM_RUN`` of its VM's vCPUs, and what is done at the exit."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.actions import perform
from vcpu_scenario.case import (
    Action,
    Attempt,
    Case,
    HostInterrupt,
    ImmediateExit,
    PendSignal,
    RunVcpu,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import SetGuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, SYSTEM_REGISTERS, id_of
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Answer, Deed, Exit, GuestException
from vcpu_scenario.vmm.debugger import BRK, Asked
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.memory import Memory
from vcpu_scenario.vmm.recorder import PC, Recorder
from vcpu_scenario.vmm.setup import set_up
from vcpu_scenario.vmm.told import SIGABRT, Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms import VMMS

PATIENCE: Final = 0.02
"""Seconds between two looks at whether the debugger interrupts, on a real machine."""

LEFT_OUT: Final = (SetGuestDebug, ImmediateExit, PendSignal, HostInterrupt, Attempt)
"""What the debugger does in the scenario's place, and what the kernel is to refuse."""
_AT_RESET: Final = (*CORE_REGISTERS, *SYSTEM_REGISTERS)
_KEPT: Final = 20_000
"""Calls of ``KVM_RUN`` that are remembered."""


class Process:
    """That of one VM.

    ``entries`` and ``exits`` are the calls of ``KVM_RUN`` so far, the last ones where there are
    many; ``since`` are those since the stop before the last. ``vcpu`` is the one that all is about.
    """

    def __init__(self, machine: Machine, case: Case, vmm: str) -> None:
        """Sets ``machine`` up for ``case``, of which the debugger takes the place of what the
        scenario asks of guest debug. Raises :class:`~vcpu_scenario.machine.errors.KvmError`
        where the kernel refuses, and KeyError for a VMM that is not in
        :data:`~vcpu_scenario.vmm.vmms.VMMS`."""
        self.machine: Final = machine
        self.case: Final = case
        self._recorder: Final = Recorder(case)
        self.exits = self._recorder.exits
        self.entries = self._recorder.entries
        self.since = 0
        self._set_up(vmm)
        self.bus = Bus(case)
        self.bus.belong_to(machine)
        self.memory: Final = Memory(machine, case, self.bus)
        self.vmm: Final = VMMS[vmm](machine, self.memory)
        self.count: Final = case.vcpus
        self.vcpu = 0
        self._did: dict[int, tuple[Deed, ...]] = {}
        self._last: dict[int, dict[str, int]] = {}
        self._initial = [self._registers(number) for number in range(self.count)]
        for number in reversed(range(self.count)):
            self.select(number)
            self.vmm.begins()

    def _set_up(self, vmm: str) -> None:
        if self.case.several:
            if self.case.vcpus == 1:
                raise Unsupported("a debugger with a vCPU that is created on the way")
            if VMMS[vmm].refuses_several:
                raise Unsupported(VMMS[vmm].refuses_several)
        set_up(self.machine, self.case)
        for action in self.case.before:
            if isinstance(action, RunVcpu):
                self.machine.select(action.vcpu)
            elif not isinstance(action, LEFT_OUT) and not is_breakpoint(action):
                perform(self.machine, action)
        if self.case.several:
            self.machine.select(0)

    def select(self, number: int) -> None:
        """All is about the vCPU of that number from now on."""
        if number != self.vcpu:
            self.machine.select(number)
            self.vmm.select(number)
            self._last[self.vcpu] = self._recorder.last
            self._recorder.turn_to(number, self._last.get(number, {}))
            self.vcpu = number

    @property
    def off(self) -> bool:
        """Whether the vCPU is one of several that is switched off."""
        return self.count > 1 and self.machine.mp_state() == abi.KVM_MP_STATE_STOPPED

    @property
    def pc(self) -> int:
        return self.machine.get_one_reg(PC)

    def enter(self, kicked: bool, pace: int) -> int:
        """Enters the guest, for ``pace`` instructions on the emulated machine."""
        machine = self.machine
        machine.run.immediate_exit = int(kicked)
        did = self._did.pop(self.vcpu, ())
        pc = machine.get_one_reg(PC)
        result = machine.kvm_run(instructions=pace, seconds=PATIENCE)
        machine.run.immediate_exit = 0
        gave = None if result == -errno.EINTR else len(self.exits)
        asked = Asked(self.vmm.debug, frozenset(self.vmm.software))
        self._recorder.entered(gave, did, pc, asked, kicked, machine.inside)
        if len(self.entries) > 2 * _KEPT:
            self._forget()
        return result

    def _forget(self) -> None:
        """Lets the first half go: a guest that is left to run is not to take all memory."""
        kept = self.entries[-_KEPT:]
        first = next((entry.exit for entry in kept if entry.exit is not None), len(self.exits))
        self.since = max(0, self.since - (len(self.entries) - len(kept)))
        del self.exits[:first]
        self.entries[:] = [
            replace(entry, exit=None if entry.exit is None else entry.exit - first)
            for entry in kept
        ]

    def answer(self) -> Told | None:
        """Does what is to be done at the exit that has come, and says what the debugger is told."""
        exit_ = self._recorder.exited(self.machine, self.machine.run, 0)
        answer = _ANSWERS.get(self.machine.run.exit_reason)
        if answer is None or (exit_.exit == "ARM_NISV" and not self.vmm.knows_nisv):
            return Stopped(Why.LOST, SIGABRT, words=f"KVM_EXIT_{exit_.exit}")
        told = answer(self, exit_) or self.vmm.exited(exit_)
        if self.vmm.gave:
            self.vmm.gave = False
            self._note(GuestException())
        return told

    def _note(self, deed: Deed) -> None:
        self._did[self.vcpu] = (*self._did.get(self.vcpu, ()), deed)

    def _no_answer(self, exit_: Exit) -> None:
        """The personality's alone."""

    def _mmio(self, exit_: Exit) -> None:
        mmio = self.machine.run.mmio
        addr, length = mmio.phys_addr, mmio.len
        if mmio.is_write:
            self.bus.write(addr, length, bytes(mmio.data))
        else:
            value = self.bus.read(addr, length)
            mmio.data[:] = value.to_bytes(8, "little")
            self._note(Answer(value & (1 << 8 * min(length, 8)) - 1))

    def _system_event(self, exit_: Exit) -> Told | None:
        if exit_.fields["type"] != abi.KVM_SYSTEM_EVENT_RESET:
            return Over(0, "the guest switched itself off")
        if (told := self.vmm.resets()) is not None:
            return told
        for load in self.case.loads:
            self.machine.memory.write(load.addr, load.data)
        self.reset()
        return None

    def reset(self) -> None:
        """Every vCPU begins again, of several the first alone."""
        for number in reversed(range(self.count)):
            self.select(number)
            self._reset_vcpu()

    def _reset_vcpu(self) -> None:
        self.machine.vcpu_init(self.machine.features)  # which resets every register
        for name, value in self._initial[self.vcpu].items():
            try:
                self.machine.set_one_reg(id_of(name), value)
            except KvmError:
                continue  # a register that cannot be written
        if self.vcpu == 0:
            self.machine.set_mp_state(abi.KVM_MP_STATE_RUNNABLE)
        self.vmm.reset()

    def _registers(self, number: int) -> dict[str, int]:
        self.select(number)
        known = set(self.machine.reg_list())
        return {
            name: self.machine.get_one_reg(id_of(name))
            for name in _AT_RESET
            if id_of(name) in known
        }

    def act(self, action: Action) -> None:
        """Does what a monitor's command asks for, as the VMM. Raises what the machine raises."""
        perform(self.machine, action)
        self._note(action)

    def close(self) -> None:
        self.machine.close()


def is_breakpoint(action: Action) -> bool:
    """Whether the scenario writes a breakpoint in its debugger's place."""
    return isinstance(action, WriteMemory) and action.data == BRK


_ANSWERS: Final[Mapping[int, Callable[[Process, Exit], Told | None]]] = {
    abi.KVM_EXIT_DEBUG: Process._no_answer,
    abi.KVM_EXIT_ARM_NISV: Process._no_answer,
    abi.KVM_EXIT_MMIO: Process._mmio,
    abi.KVM_EXIT_SYSTEM_EVENT: Process._system_event,
}
"""What a VMM does at an exit, whatever it tells; one that is not here ends the session."""

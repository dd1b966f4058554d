"""A VMM's process as its debugger sees it: it runs the guest until there is something to tell."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from time import sleep
from typing import Final

from vcpu_scenario.actions import perform
from vcpu_scenario.case import (
    Action,
    Attempt,
    Case,
    HostInterrupt,
    ImmediateExit,
    PendSignal,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import SetGuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, SYSTEM_REGISTERS, id_of
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Answer, Deed, Entry, Exit, GuestException
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.fields import fields_of
from vcpu_scenario.vmm.memory import Memory, Unreachable
from vcpu_scenario.vmm.setup import set_up
from vcpu_scenario.vmm.told import SIGABRT, Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms import VMMS
from vcpu_scenario.vmm.vmms.base import BRK

SLICE: Final = 10_000
"""Instructions between two looks at whether the debugger interrupts, on the emulated machine."""
PATIENCE: Final = 0.02
"""Seconds between them on a real one."""

REAL_PATIENCE: Final = 1.0
"""Seconds for which a real machine is waited for, which may be a slow one."""

_WFI: Final = (0xD503_207F).to_bytes(4, "little")
_WAIT: Final = 0.001
"""Seconds between two looks while nothing runs."""

_PC: Final = CORE_REGISTERS["pc"]
LEFT_OUT: Final = (SetGuestDebug, ImmediateExit, PendSignal, HostInterrupt, Attempt)
"""What the debugger does in the scenario's place, and what the kernel is to refuse."""
_AT_RESET: Final = (*CORE_REGISTERS, *SYSTEM_REGISTERS)
_KEPT: Final = 20_000
"""Calls of ``KVM_RUN`` that are remembered."""


def never() -> bool:
    """No ^C ever."""
    return False


class Session:
    """One VM under a debugger.

    ``told`` is what the debugger was told last, ``entries`` and ``exits`` the calls of ``KVM_RUN``
    so far, the last ones where there are many; ``since`` are those since the stop before the last.
    """

    def __init__(self, machine: Machine, case: Case, vmm: str) -> None:
        """Sets ``machine`` up for ``case``, of which the debugger takes the place of what the
        scenario asks of guest debug. Raises :class:`~vcpu_scenario.machine.errors.KvmError`
        where the kernel refuses, and KeyError for a VMM that is not in
        :data:`~vcpu_scenario.vmm.vmms.VMMS`."""
        self.machine: Final = machine
        self.case: Final = case
        self.bus = Bus(case)
        self.bus.belong_to(machine)
        self.exits: list[Exit] = []
        self.entries: list[Entry] = []
        self.since = 0
        self._set_up()
        self.memory: Final = Memory(machine, case, self.bus)
        self.vmm: Final = VMMS[vmm](machine, self.memory)
        self.told: Told = Stopped(Why.START)
        self.waiting = False
        """Whether the vCPU waits for an interrupt that nobody but the debugger will make."""
        self._kicked = self.vmm.kicks
        self._pace = SLICE
        self._did: tuple[Deed, ...] = ()
        self._observed = (*map(id_of, case.observe), _PC)
        self._last: dict[str, int] = {}
        self._initial = self._registers()

    def _set_up(self) -> None:
        if self.case.several:
            raise Unsupported("a debugger is for one vCPU, and this VM has several")
        set_up(self.machine, self.case)
        for action in self.case.before:
            if not isinstance(action, LEFT_OUT) and not is_breakpoint(action):
                perform(self.machine, action)

    @property
    def over(self) -> bool:
        """Whether there is no guest any more."""
        return isinstance(self.told, Over)

    @property
    def pc(self) -> int:
        return self.machine.get_one_reg(_PC)

    @property
    def patience(self) -> float:
        """Seconds that a resume may take before it is taken for one that does not come back."""
        return 0.0 if self.machine.inside is not None else REAL_PATIENCE

    def resume(
        self, step: bool, interrupted: Callable[[], bool] = never, pace: int = SLICE
    ) -> Told:
        """Goes on until there is something to tell; ``interrupted`` is asked before each slice of
        the run whether the debugger interrupts. A slice is ``pace`` instructions on the emulated
        machine."""
        if self.over:
            return self.told
        self.since = len(self.entries)
        self.waiting = False
        self._pace = pace
        told = self.vmm.resume(step)
        try:
            if told is None:
                told = self._until_told(interrupted)
            self.vmm.stopped()
        except NotModelled as limit:
            told = Over(1, str(limit), limit.what)
        except KvmError as refusal:
            told = Over(1, f"{refusal.what}: errno {refusal.errno}")
        self._kicked = self.vmm.kicks
        self.told = told
        return told

    def _until_told(self, interrupted: Callable[[], bool]) -> Told:
        while True:
            if interrupted():
                return self._interrupted()
            if self.waiting:
                if interrupted is never:
                    return self.vmm.interrupted()
                if self.machine.inside is not None:
                    sleep(_WAIT)
                    continue
                self._wait_on()
            kicked, self._kicked = self._kicked, False
            if kicked:
                self.machine.run.immediate_exit = 1
            result = self._kvm_run(kicked)
            told = self._answer(result)
            if told is not None:
                if self.vmm.runs_at_pause and isinstance(told, Stopped):
                    return self._run_at_pause(told)
                return told

    def _interrupted(self) -> Told:
        """The vCPU is kicked out of its run, or does not come into one: that completes an access
        that was answered."""
        self.waiting = False
        self.machine.run.immediate_exit = 1
        told = self._answer(self._kvm_run(kicked=True))
        return self.vmm.interrupted() if told is None else told

    def _run_at_pause(self, told: Stopped) -> Told:
        self.machine.run.immediate_exit = 1
        result = self._kvm_run(kicked=True)
        if result != -errno.EINTR:
            return Over(1, "the KVM_RUN of its pause gave an exit, and the vCPU's thread ended")
        return told

    def _kvm_run(self, kicked: bool) -> int:
        machine = self.machine
        did, self._did = self._did, ()
        pc = machine.get_one_reg(_PC)
        result = machine.kvm_run(instructions=self._pace, seconds=PATIENCE)
        machine.run.immediate_exit = 0
        gave = None if result == -errno.EINTR else len(self.exits)
        inside = machine.inside
        breakpoints = frozenset(self.vmm.software)
        self.entries.append(Entry(gave, did, pc, self.vmm.debug, breakpoints, kicked, inside))
        if len(self.entries) > 2 * _KEPT:
            self._forget()
        return result

    def _forget(self) -> None:
        """Lets the first half go: a guest that is left to run is not to take all memory."""
        kept = self.entries[-_KEPT:]
        first = next((entry.exit for entry in kept if entry.exit is not None), len(self.exits))
        self.since = max(0, self.since - (len(self.entries) - len(kept)))
        self.exits = self.exits[first:]
        self.entries = [
            entry._replace(exit=None if entry.exit is None else entry.exit - first)
            for entry in kept
        ]

    def _answer(self, result: int) -> Told | None:
        if result == -errno.EINTR:
            self.waiting = self._waits()
            return None
        if result < 0:
            return Stopped(Why.LOST, SIGABRT, words=f"KVM_RUN: errno {-result}")
        exit_ = self._record()
        answer = _ANSWERS.get(self.machine.run.exit_reason)
        if answer is None or (exit_.exit == "ARM_NISV" and not self.vmm.knows_nisv):
            return Stopped(Why.LOST, SIGABRT, words=f"KVM_EXIT_{exit_.exit}")
        told = answer(self, exit_) or self.vmm.exited(exit_)
        if self.vmm.gave:
            self.vmm.gave = False
            self._did += (GuestException(),)
        return told

    def _wait_on(self) -> None:
        """A real vCPU's WFI ends with the signal that ends a slice of a run: back to it."""
        self.waiting = False
        self.machine.set_one_reg(_PC, self.pc - len(_WFI))

    def _waits(self) -> bool:
        """Whether the vCPU was in a WFI, which only the debugger's ^C is to end now."""
        inside, before = self.machine.inside, self.pc - len(_WFI)
        left = inside.left if inside is not None else None if self.entries[-1].kicked else before
        if left != before:
            return False
        try:
            return self.memory.read_virtual(before, len(_WFI)) == _WFI
        except Unreachable:
            return False

    def _record(self) -> Exit:
        *values, pc = self.machine.get_regs(self._observed)
        run = self.machine.run
        regs = {
            name: value
            for name, value in zip(self.case.observe, values, strict=True)
            if self._last.get(name) != value
        }
        self._last |= regs
        name = abi.EXIT_NAMES.get(run.exit_reason, str(run.exit_reason))
        exit_ = Exit(name, 0, 0, pc, fields_of(run, run.exit_reason), regs)
        self.exits.append(exit_)
        return exit_

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
            self._did += (Answer(value & (1 << 8 * min(length, 8)) - 1),)

    def _system_event(self, exit_: Exit) -> Told | None:
        if exit_.fields["type"] != abi.KVM_SYSTEM_EVENT_RESET:
            return Over(0, "the guest switched itself off")
        if (told := self.vmm.resets()) is not None:
            return told
        for load in self.case.loads:
            self.machine.memory.write(load.addr, load.data)
        self.machine.vcpu_init(self.machine.features)  # which resets every register
        for name, value in self._initial.items():
            try:
                self.machine.set_one_reg(id_of(name), value)
            except KvmError:
                continue  # a register that cannot be written
        self.machine.set_mp_state(abi.KVM_MP_STATE_RUNNABLE)
        self.vmm.reset()
        return None

    def _registers(self) -> dict[str, int]:
        known = set(self.machine.reg_list())
        return {
            name: self.machine.get_one_reg(id_of(name))
            for name in _AT_RESET
            if id_of(name) in known
        }

    def act(self, action: Action) -> None:
        """Does what a monitor's command asks for, as the VMM. Raises what the machine raises."""
        perform(self.machine, action)
        self._did += (action,)

    def close(self) -> None:
        self.machine.close()


def is_breakpoint(action: Action) -> bool:
    """Whether the scenario writes a breakpoint in its debugger's place."""
    return isinstance(action, WriteMemory) and action.data == BRK


_ANSWERS: Final[Mapping[int, Callable[[Session, Exit], Told | None]]] = {
    abi.KVM_EXIT_DEBUG: Session._no_answer,
    abi.KVM_EXIT_ARM_NISV: Session._no_answer,
    abi.KVM_EXIT_MMIO: Session._mmio,
    abi.KVM_EXIT_SYSTEM_EVENT: Session._system_event,
}
"""What a VMM does at an exit, whatever it tells; one that is not here ends the session."""

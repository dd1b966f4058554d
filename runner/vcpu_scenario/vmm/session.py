"""A VMM's process as its debugger sees it: it runs the guest until there is something to tell."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Mapping
from time import sleep
from typing import Final, TypeAlias

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

_AT_PAUSE: Final = 16
"""Calls of ``KVM_RUN`` that a vCPU makes before it is paused for another one's stop."""

Steps: TypeAlias = bool | tuple[bool | None, ...]
"""Which vCPUs step, and which go on; one that is None does neither. Where it is not said of each,
the one that was chosen steps and the others go on, or all go on."""

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
    Of several vCPUs each has its turn, as the loop of their VMM's threads is not in step; ``vcpu``
    is the one that the debugger looks at, ``chosen`` the one that it is told of, or has chosen.
    """

    def __init__(self, machine: Machine, case: Case, vmm: str) -> None:
        """Sets ``machine`` up for ``case``, of which the debugger takes the place of what the
        scenario asks of guest debug. Raises :class:`~vcpu_scenario.machine.errors.KvmError`
        where the kernel refuses, and KeyError for a VMM that is not in
        :data:`~vcpu_scenario.vmm.vmms.VMMS`."""
        self.machine: Final = machine
        self.case: Final = case
        self.exits: list[Exit] = []
        self.entries: list[Entry] = []
        self.since = 0
        self._set_up(vmm)
        self.bus = Bus(case)
        self.bus.belong_to(machine)
        self.memory: Final = Memory(machine, case, self.bus)
        self.vmm: Final = VMMS[vmm](machine, self.memory)
        self.count: Final = case.vcpus
        self.vcpu = self.chosen = 0
        self.told: Told = Stopped(Why.START)
        self.waiting = False
        """Whether no vCPU does anything until the debugger makes an interrupt."""
        self._going = deque([0])
        """Those that are not stopped; it is the first one's turn."""
        self._kicked: set[int] = set()
        self._idle: set[int] = set()
        self._pace = SLICE
        self._did: dict[int, tuple[Deed, ...]] = {}
        self._observed = (*map(id_of, case.observe), _PC)
        self._last: dict[int, dict[str, int]] = {}
        self._initial = [self._registers(number) for number in range(self.count)]
        self.select(0)

    def _set_up(self, vmm: str) -> None:
        if self.case.several:
            if self.case.vcpus == 1:
                raise Unsupported("a debugger with a vCPU that is created on the way")
            if not VMMS[vmm].several:
                raise Unsupported(f"what {vmm} does with several vCPUs and a debugger")
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
            self.vcpu = number

    @property
    def over(self) -> bool:
        """Whether there is no guest any more."""
        return isinstance(self.told, Over)

    @property
    def off(self) -> bool:
        """Whether the vCPU is one of several that is switched off."""
        return self.count > 1 and self.machine.mp_state() == abi.KVM_MP_STATE_STOPPED

    @property
    def pc(self) -> int:
        return self.machine.get_one_reg(_PC)

    @property
    def patience(self) -> float:
        """Seconds that a resume may take before it is taken for one that does not come back."""
        return 0.0 if self.machine.inside is not None else REAL_PATIENCE

    def resume(
        self, step: Steps, interrupted: Callable[[], bool] = never, pace: int = SLICE
    ) -> Told:
        """Goes on until there is something to tell; ``interrupted`` is asked before each slice of
        the run whether the debugger interrupts. A slice is ``pace`` instructions on the emulated
        machine."""
        if self.over:
            return self.told
        self.since = len(self.entries)
        self._pace = pace
        told = self._go(step)
        try:
            if told is None:
                told = self._until_told(interrupted)
            self.chosen = self.vcpu
            self.vmm.stopped()
        except NotModelled as limit:
            told = Over(1, str(limit), limit.what)
        except KvmError as refusal:
            told = Over(1, f"{refusal.what}: errno {refusal.errno}")
        self.told = told
        return told

    def _go(self, step: Steps) -> Told | None:
        if isinstance(step, bool):
            step = tuple(step and number == self.chosen for number in range(self.count))
        self.waiting = False
        self._going = deque(number for number, one in enumerate(step) if one is not None)
        self._kicked = set(self._going) if self.vmm.kicks else set()
        self._idle = set()
        for number in reversed(self._going):
            self.select(number)
            if (told := self.vmm.resume(bool(step[number]))) is not None:
                return told
        return None

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
            kicked = self._takes_kick()
            told = self._answer(self._kvm_run(kicked))
            if isinstance(told, Stopped):
                told = self._pause_others(told)
                if self.vmm.runs_at_pause and isinstance(told, Stopped):
                    return self._run_at_pause(told)
            if told is not None:
                return told
            if not kicked:
                self._going.rotate(-1)
                self.select(self._going[0])

    def _takes_kick(self) -> bool:
        """Whether the vCPU is kicked out of the run that comes next."""
        kicked = self.vcpu in self._kicked
        self._kicked.discard(self.vcpu)
        return kicked

    def _pause_others(self, told: Told) -> Told:
        """One vCPU stopped, and the others are on their way until they are paused. Where one of
        them comes to something to tell, that takes the place of what was to be told before
        (``gdb_set_stop_cpu``)."""
        last = self.vcpu
        for number in sorted({*self._going} - {last}):
            self.select(number)
            if (later := self._until_paused()) is not None:
                told, last = later, number
        self.select(last)
        return told

    def _until_paused(self) -> Told | None:
        for _ in range(_AT_PAUSE):
            kicked = self._takes_kick()
            result = self._kvm_run(kicked)
            told = self._answer(result)
            if told is not None or (result == -errno.EINTR and not kicked):
                return told
        return self._answer(self._kvm_run(kicked=True))

    def _interrupted(self) -> Told:
        """The vCPUs are kicked out of their runs, or do not come into one: that completes an access
        that was answered."""
        self.waiting = False
        for number in self._going:
            self.select(number)
            if (told := self._answer(self._kvm_run(kicked=True))) is not None:
                return told
        self.select(self.chosen)
        return self.vmm.interrupted()

    def _run_at_pause(self, told: Stopped) -> Told:
        result = self._kvm_run(kicked=True)
        if result != -errno.EINTR:
            return Over(1, "the KVM_RUN of its pause gave an exit, and the vCPU's thread ended")
        return told

    def _kvm_run(self, kicked: bool) -> int:
        machine = self.machine
        machine.run.immediate_exit = int(kicked)
        did = self._did.pop(self.vcpu, ())
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
        if result != -errno.EINTR or not self._waits():
            self._idle.clear()  # it may wake another one
        else:
            self._idle.add(self.vcpu)
        self.waiting = self._idle.issuperset(self._going)
        if result == -errno.EINTR:
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
            self._note(GuestException())
        return told

    def _note(self, deed: Deed) -> None:
        self._did[self.vcpu] = (*self._did.get(self.vcpu, ()), deed)

    def _wait_on(self) -> None:
        """A real vCPU's WFI ends with the signal that ends a slice of a run: back to it."""
        self.waiting = False
        self.machine.set_one_reg(_PC, self.pc - len(_WFI))

    def _waits(self) -> bool:
        """Whether the vCPU is off, or was in a WFI, which only the debugger's ^C is to end now."""
        if self.off:
            return True
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
        run, last = self.machine.run, self._last.setdefault(self.vcpu, {})
        regs = {
            name: value
            for name, value in zip(self.case.observe, values, strict=True)
            if last.get(name) != value
        }
        last |= regs
        name = abi.EXIT_NAMES.get(run.exit_reason, str(run.exit_reason))
        fields = fields_of(run, run.exit_reason)
        if self.count > 1:
            fields = {**fields, "vcpu": self.vcpu}
        exit_ = Exit(name, 0, 0, pc, fields, regs)
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
            self._note(Answer(value & (1 << 8 * min(length, 8)) - 1))

    def _system_event(self, exit_: Exit) -> Told | None:
        if exit_.fields["type"] != abi.KVM_SYSTEM_EVENT_RESET:
            return Over(0, "the guest switched itself off")
        if (told := self.vmm.resets()) is not None:
            return told
        for load in self.case.loads:
            self.machine.memory.write(load.addr, load.data)
        for number in reversed(range(self.count)):
            self.select(number)
            self._reset()
        self._going = deque(range(self.count))  # resume_all_vcpus
        return None

    def _reset(self) -> None:
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


_ANSWERS: Final[Mapping[int, Callable[[Session, Exit], Told | None]]] = {
    abi.KVM_EXIT_DEBUG: Session._no_answer,
    abi.KVM_EXIT_ARM_NISV: Session._no_answer,
    abi.KVM_EXIT_MMIO: Session._mmio,
    abi.KVM_EXIT_SYSTEM_EVENT: Session._system_event,
}
"""What a VMM does at an exit, whatever it tells; one that is not here ends the session."""

"""The VMM's run loop: ``KVM_RUN``, answer the exit, act, again; what it saw is the trace."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from ctypes import c_uint64
from functools import lru_cache
from typing import Any, TypeVar

from vcpu_scenario.case import (
    Action,
    Case,
    HostInterrupt,
    ImmediateExit,
    PendSignal,
    RunVcpu,
    SetRegister,
)
from vcpu_scenario.ioctls.vm import RestoreSnapshot, TakeSnapshot
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, id_of
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import (
    Answer,
    Deed,
    Ending,
    Entry,
    Exit,
    GuestException,
    StopReason,
    Trace,
    Unmodelled,
)
from vcpu_scenario.vmm.attached import Asker, Itself, VmmEnds, asker_of
from vcpu_scenario.vmm.consoles import Consoles
from vcpu_scenario.vmm.debugger import reason_of, stepping
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.endings import ENDS, Endings, ending_of, told
from vcpu_scenario.vmm.fields import fields_of, ring_of
from vcpu_scenario.vmm.patterns import Reactions
from vcpu_scenario.vmm.setup import Asked, set_up
from vcpu_scenario.vmm.snapshots import Snapshots
from vcpu_scenario.vmm.turns import Turns
from vcpu_scenario.vmm.watch import Watch

_PC = CORE_REGISTERS["pc"]
_FOR_NEXT_RUN = (ImmediateExit, PendSignal, HostInterrupt)
"""Actions that are about the run that comes next, and not about one that only returns."""

TURN = 0.01
"""Seconds that a vCPU's turn takes where nobody counts its instructions."""

_Value = TypeVar("_Value")

_new = tuple.__new__
"""Makes a named tuple in half the time, where there are two for each exit."""


def run_case(machine: Machine, case: Case, watch: Watch | None = None) -> Trace:
    """Sets ``machine`` up for ``case`` and runs it to its end, while somebody may ``watch``."""
    asked = Asked()
    try:
        set_up(machine, case, asked)
        with closing(_Run(machine, case, watch)) as run:
            run.begin(asked)
            return run.to_the_end()
    except KvmError as refusal:
        words, ended = told(refusal), Ending.REFUSED
        return Trace(error=words, errno=refusal.errno, ended=ended, asked=asked.number)
    except ENDS as error:
        ended, refused = ending_of(error)
        return Trace(refused=refused, ended=ended, asked=asked.number)
    except NotModelled as limit:
        return Trace(ended=Ending.NOT_MODELLED, unmodelled=Unmodelled(limit.what, None))


class _Run:
    def __init__(self, machine: Machine, case: Case, watch: Watch | None = None) -> None:
        self.watch = watch
        if watch is not None:
            watch.begins()
        self.machine = self.first = machine
        self.run = machine.run
        self.mmio_data = c_uint64.from_buffer(self.run.mmio.data)
        self.case = case
        self.bus = Bus(case, watch)
        self.bus.belong_to(machine)
        self.consoles = Consoles(case, self.bus)
        self.exits: list[Exit] = []
        self.entries: list[Entry] = []
        self.on = dict(case.on)
        self.observe = case.observe
        self.reactions = Reactions(case.reactions)
        self.actions: tuple[Action, ...] = ()
        """What is to be done after the exit that came last."""
        self.read_after_exits = (*map(id_of, case.observe), _PC)
        self.last: dict[str, int] = {}
        self.endings = Endings(case.limits)
        self.refused = ""
        self.asked = Asked()
        self.vmm: Asker = asker_of(machine, case, self.bus)
        self.did: tuple[Deed, ...] = ()
        """What was done since the last ``KVM_RUN``."""
        self.pc: int | None = None
        """The guest's pc where it was read since anything may have moved it."""
        self.kicked = self.vmm.kicks
        """Whether the next run is one that the VMM is kicked for: it is stopped at first."""
        self.for_next_run: list[Action] = []
        self.several = case.several
        self.turns = Turns(machine, case.vcpus)
        self.snapshots = Snapshots(case)

    def close(self) -> None:
        """Ends a VM that was made on the way."""
        if self.watch is not None:
            self.watch.ended()
        if self.machine is not self.first:
            self.machine.close()

    def begin(self, asked: Asked) -> None:
        """What is done before the first run."""
        self.asked = asked
        self.note(self.vmm.begin(self.case.debug))
        self.ask(self.case.before, first=len(self.case.setup) + 1)
        self.note(self.vmm.resume(told=True))

    def ask(self, actions: Sequence[Action], first: int = 1) -> None:
        """Does what the scenario asks for and what is done at once, and notes what is for the next
        run of the scenario's own. The number of the first is ``first``."""
        for self.asked.number, action in enumerate(actions, first):
            if isinstance(action, _FOR_NEXT_RUN):
                self.for_next_run.append(action)
            elif isinstance(action, RunVcpu):
                self.did += (action,)
                self._turn_to(action.vcpu)
            elif isinstance(action, TakeSnapshot):
                self.bus.require_memory("a snapshot")
                self.did += (action,)
                breakpoints = self.vmm.asked.breakpoints
                self.snapshots.take(action, self.machine, self.turns.vcpu, breakpoints)
            elif isinstance(action, RestoreSnapshot):
                self.bus.require_memory("going on from a snapshot")
                self.did += (action,)
                restored = self.snapshots.restore(action, self.machine, self.turns.vcpu)
                self._go_on_in(*restored)
            else:
                self.do(action)
        self.asked.number = 0

    def _go_on_in(self, machine: Machine, breakpoints: frozenset[int]) -> None:
        """All that is done from now on is about ``machine``. Of another VM than there was no guest
        debug is asked; ``breakpoints`` are the VMM's own in its memory."""
        self.pc = None
        if machine is self.machine:
            if isinstance(self.vmm, Itself):
                self.vmm.asked = self.vmm.asked._replace(breakpoints=breakpoints)
            return
        self.close()
        self.machine = machine
        self.run = machine.run
        self.mmio_data = c_uint64.from_buffer(self.run.mmio.data)
        self.vmm = Itself(machine, breakpoints)
        self.turns.go_on_in(machine)
        self.bus.belong_to(machine)

    def do(self, action: Action) -> None:
        self.note(self.vmm.do(action))

    def note(self, deeds: Iterable[Deed]) -> None:
        """Has them done, and remembers that they were."""
        for deed in deeds:
            self.pc = None
            self.did += (deed,)

    def to_the_end(self) -> Trace:
        try:
            return self._trace(self._until_it_ends())
        except NotModelled as limit:
            unmodelled = Unmodelled(limit.what, _read(self.machine.get_one_reg, _PC))
            return Trace(
                exits=tuple(self.exits),
                ended=Ending.NOT_MODELLED,
                unmodelled=unmodelled,
                output=self.bus.outputs(),
                entries=tuple(self.entries),
            )

    def _until_it_ends(self) -> Ending:
        ended: Ending | None = None
        try:
            while ended is None:
                ended = self._to_the_next_exit()
        except ENDS as error:
            began = self.exits or self.consoles.answered
            if isinstance(error, KvmError) and not began:
                raise  # no vCPU to run, or a VM that its first KVM_RUN found dead: not set up
            ended, self.refused = ending_of(error)
        return ended

    def _to_the_next_exit(self) -> Ending | None:
        kicked, self.kicked = self.kicked, False
        if kicked:
            self.run.immediate_exit = 1
        else:
            for action in self.for_next_run:
                self.do(action)
            self.for_next_run.clear()
        result = self._kvm_run(kicked)
        if self.watch is not None:
            self.watch.exits += 1
        while not result and self._at_console():
            result = self._kvm_run_on()
        if kicked and result == -errno.EINTR:
            return None  # no exit of the scenario's
        # A kernel that has something to say before it looks whether it may go on says it now.
        exit_ = self._record(result)
        acts = bool(self.actions) or len(self.exits) - 1 in self.on
        ended = self.endings.at(result, self.exits, acts=acts)
        if ended is None:
            self._react(exit_)
            stop = self.entries[-1].told
            self.note(self.vmm.resume(stop is not None))
            self.kicked = stop is not None and self.vmm.kicks
        elif ended is Ending.EXIT_LIMIT and self.case.limits.act_at_last:
            self._react(exit_)
        return ended

    def _kvm_run(self, kicked: bool) -> int:
        machine, limits = self.machine, self.case.limits
        did, self.did = self.did, ()
        pc = machine.get_one_reg(_PC) if self.pc is None else self.pc
        if self.case.quantum is None or self.run.immediate_exit or _signalled(did):
            result = machine.kvm_run(instructions=limits.instructions, seconds=limits.seconds)
        else:
            result = self._by_turns(self.case.quantum)
        self.run.immediate_exit = 0
        self.pc = None
        gave = None if kicked and result == -errno.EINTR else len(self.exits)
        debug, breakpoints = self.vmm.asked
        fields = gave, did, pc, debug, breakpoints, kicked, machine.inside, None
        self.entries.append(_new(Entry, fields))
        return result

    def _by_turns(self, quantum: int) -> int:
        """Runs the vCPUs that are on, one after the other, until one has something to tell."""
        limits, counts = self.case.limits, self.machine.counts_instructions
        turn, left = (quantum, limits.instructions) if counts else (TURN, limits.seconds)
        while True:
            ticks = min(turn, left)
            result = self.machine.kvm_run(instructions=int(ticks), seconds=ticks)
            left -= ticks
            if result != -errno.EINTR or left <= 0:
                return result
            self._turn_to(self.turns.following())

    def _turn_to(self, number: int) -> None:
        """All that is done from now on is about the vCPU ``number``."""
        self.last, self.vmm = self.turns.take(number, self.last, self.vmm)
        self.run = self.machine.run
        self.mmio_data = c_uint64.from_buffer(self.run.mmio.data)
        self.pc = None

    def _at_console(self) -> bool:
        """Answers an access to a console, of which no exit is made unless it is stepped."""
        consoles = self.consoles
        return (
            consoles.left > 0 and not stepping(self.vmm.asked.debug) and consoles.answer(self.run)
        )

    def _kvm_run_on(self) -> int:
        if self.watch is not None:
            self.watch.exits += 1
        if self.case.quantum is not None:
            return self._by_turns(self.case.quantum)
        limits = self.case.limits
        return self.machine.kvm_run(instructions=limits.instructions, seconds=limits.seconds)

    def _record(self, result: int) -> Exit:
        run, reason = self.run, self.run.exit_reason
        name = abi.EXIT_NAMES.get(reason) or str(reason)
        values = self.machine.get_regs(self.read_after_exits)
        self.pc = values.pop()
        regs, last = {}, self.last
        for reg, value in zip(self.observe, values, strict=True):
            if last.get(reg) != value:
                last[reg] = regs[reg] = value
        ret, error = (0, 0) if result >= 0 else (-1, -result)
        fields = fields_of(run, reason)
        if self.several:
            fields = {**fields, "vcpu": self.turns.vcpu}
        exit_: Exit = _new(Exit, (name, ret, error, self.pc, fields, regs))
        if (stop := self.vmm.reason(exit_)) is not None:
            self.entries[-1] = _new(Entry, (*self.entries[-1][:-1], stop))
        at_once = self.reactions.at(exit_, last) if self.case.reactions else ()
        self.actions = at_once + self.on.get(len(self.exits), ())
        self.exits.append(exit_)
        return exit_

    def _react(self, exit_: Exit) -> None:
        vmm, actions = self.vmm, self.actions
        stop = self.entries[-1].told
        if exit_.exit == "MMIO" and not exit_.ret:
            self._answer_mmio(exit_.fields)
        did = vmm.exited(exit_)
        if not (stop or did or actions):
            return
        if did:
            self.note(did)
        if stop is not None:
            if vmm.runs_at_pause:
                self._run_at_pause()
            self.note(vmm.stopped())
        gave = GuestException() in did
        brk = not gave and (stop or reason_of(exit_)) is StopReason.BRK
        if brk and self._skips_brk(actions):
            self.do(SetRegister("pc", exit_.pc + 4))
        self.ask(actions)

    def _run_at_pause(self) -> None:
        self.run.immediate_exit = 1
        if self._kvm_run(kicked=True) != -errno.EINTR:
            raise VmmEnds("the KVM_RUN of its pause gave an exit, and the vCPU's thread ended")

    def _answer_mmio(self, mmio: Mapping[str, Any]) -> None:
        """``mmio`` is what ``run->mmio`` says, which nobody has written since."""
        addr, length = mmio["addr"], mmio["len"]
        if mmio["is_write"]:
            self.bus.write(addr, length, bytes.fromhex(mmio["data"]))
        else:
            data = self.bus.read(addr, length)
            self.mmio_data.value = data
            self.did += _answers(data & (1 << 8 * min(length, 8)) - 1)

    def _skips_brk(self, actions: tuple[Action, ...]) -> bool:
        policy = self.case.skip_brk
        return policy == "always" or (policy == "without-actions" and not actions)

    def _trace(self, ended: Ending) -> Trace:
        case, machine = self.case, self.machine
        regs = ((name, _read(machine.get_one_reg, id_of(name))) for name in case.final_regs)
        longest: dict[int, int] = {}
        for at, size in case.peek:
            longest[at] = max(size, longest.get(at, 0))
        memory = ((at, _read(machine.memory.read, at, size)) for at, size in longest.items())
        return Trace(
            exits=tuple(self.exits),
            eventfd=machine.ioeventfds.counts() if case.ioeventfds else (),
            ring=ring_of(machine.ring) if case.fills_ring else None,
            final_regs={name: value for name, value in regs if value is not None},
            reg_list=_read(machine.reg_list) if case.lists_registers else None,
            memory={at: data for at, data in memory if data is not None},
            output=self.bus.outputs(),
            ended=ended,
            refused=self.refused,
            entries=tuple(self.entries),
            asked=self.asked.number,
            after=self.did,
        )


def _read(read: Callable[..., _Value], *of: Any) -> _Value | None:
    """What is there once the run has ended; None where the kernel refuses to say, or has nothing
    there."""
    try:
        return read(*of)
    except KvmError:
        return None


def _signalled(did: Iterable[Deed]) -> bool:
    """Whether the next run only returns, for a signal: not for the end of a vCPU's turn."""
    return any(isinstance(deed, PendSignal) for deed in did)


@lru_cache(maxsize=1024)
def _answers(value: int) -> tuple[Answer]:
    """A guest reads the same again and again."""
    return (Answer(value),)

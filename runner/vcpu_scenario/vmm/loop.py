"""The VMM's run loop: ``KVM_RUN``, answer the exit, act, again; what it saw is the trace."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from ctypes import c_uint64
from functools import lru_cache, partial
from typing import Any

from msgspec.structs import replace

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
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import (
    Answer,
    Deed,
    Ending,
    Exit,
    GuestException,
    StopReason,
    Trace,
)
from vcpu_scenario.vmm.attached import Asker, Itself, VmmEnds, asker_of
from vcpu_scenario.vmm.consoles import Consoles
from vcpu_scenario.vmm.debugger import reason_of, stepping
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.endings import ENDS, Endings, ending_of, told
from vcpu_scenario.vmm.patterns import Reactions
from vcpu_scenario.vmm.recorder import PC, Recorder
from vcpu_scenario.vmm.setup import Asked, set_up
from vcpu_scenario.vmm.snapshots import Snapshots
from vcpu_scenario.vmm.turns import Turns
from vcpu_scenario.vmm.watch import Watch

_FOR_NEXT_RUN = (ImmediateExit, PendSignal, HostInterrupt)
"""Actions that are about the run that comes next, and not about one that only returns."""

TURN = 0.01
"""Seconds that a vCPU's turn takes where nobody counts its instructions."""


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
        return Trace.never_begun(limit.what)


class _Run:
    def __init__(self, machine: Machine, case: Case, watch: Watch | None = None) -> None:
        self.watch = watch
        if watch is not None:
            watch.begins()
        self.first = machine
        self.case = case
        self.bus = Bus(case, watch)
        self.consoles = Consoles(case, self.bus)
        self.recorder = Recorder(case)
        self.on = dict(case.on)
        self.reactions = Reactions(case.reactions)
        self.may_act = bool(case.on or case.reactions)
        """Something is to be done after some exit."""
        self.endings = Endings(case.limits)
        self.refused = ""
        self.asked = Asked()
        self.vmm: Asker = asker_of(machine, case, self.bus)
        self.did: tuple[Deed, ...] = ()
        """What was done since the last ``KVM_RUN``."""
        self.kicked = self.vmm.kicks
        """Whether the next run is one that the VMM is kicked for: it is stopped at first."""
        self.for_next_run: list[Action] = []
        self.quantum = case.quantum
        self.turns = Turns(machine, case.vcpus)
        self.snapshots = Snapshots(case)
        self._drive(machine)

    def _drive(self, machine: Machine) -> None:
        """All that is done from now on is about ``machine``, or another vCPU of it."""
        limits = self.case.limits
        self.machine = machine
        self.run = machine.run
        self.mmio_data = c_uint64.from_buffer(self.run.mmio.data)
        self.enter = partial(
            machine.kvm_run, instructions=limits.instructions, seconds=limits.seconds
        )
        self.bus.belong_to(machine)
        self.pc: int | None = None
        """The guest's pc where it was read since anything may have moved it."""

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
        if machine is self.machine:
            self.pc = None
            if isinstance(self.vmm, Itself):
                self.vmm.asked = self.vmm.asked._replace(breakpoints=breakpoints)
            return
        self.close()
        self.vmm = Itself(machine, breakpoints)
        self.turns.go_on_in(machine)
        self._drive(machine)

    def do(self, action: Action) -> None:
        self.note(self.vmm.do(action))

    def note(self, deeds: Iterable[Deed]) -> None:
        """Has them done, and remembers that they were."""
        for deed in deeds:
            self.pc = None
            self.did += (deed,)

    def to_the_end(self) -> Trace:
        try:
            ended = self._until_it_ends()
            trace = self.recorder.ended(self.machine, ended, self.refused, self.asked.number)
        except NotModelled as limit:
            trace = self.recorder.unmodelled(self.machine, limit.what)
        except Unsupported as reason:
            if not self.recorder.exits:
                raise  # then there is nothing to compare
            raise self.recorder.lacked(self.machine, str(reason)) from reason
        return replace(trace, output=self.bus.outputs(), after=self.did)

    def _until_it_ends(self) -> Ending:
        ended: Ending | None = None
        try:
            while ended is None:
                ended = self._to_the_next_exit()
        except ENDS as error:
            began = self.recorder.exits or self.consoles.answered
            if isinstance(error, KvmError) and not began:
                raise  # no vCPU to run, or a VM that its first KVM_RUN found dead: not set up
            ended, self.refused = ending_of(error)
        return ended

    def _to_the_next_exit(self) -> Ending | None:
        kicked = self.kicked
        if kicked:
            self.kicked, self.run.immediate_exit = False, 1
        elif self.for_next_run:
            self._do_for_next_run()
        result = self._kvm_run(kicked)
        if self.watch is not None:
            self.watch.exits += 1
        if self.consoles.left > 0:
            result = self._past_consoles(result)
        if kicked and result == -errno.EINTR:
            return None  # no exit of the scenario's
        # A kernel that has something to say before it looks whether it may go on says it now.
        exit_ = self.recorder.exited(self.machine, self.run, result)
        self.pc = exit_.pc
        stop = self.vmm.reason(exit_)
        if stop is not None:
            self.recorder.told(stop)
        actions, acts = self._asked_at(exit_) if self.may_act else ((), False)
        ended = self.endings.at(result, self.recorder.exits, acts=acts)
        if ended is None:
            self._react(exit_, stop, actions)
            if not self.vmm.idle:
                self.note(self.vmm.resume(stop is not None))
                self.kicked = stop is not None and self.vmm.kicks
        elif ended is Ending.EXIT_LIMIT and self.case.limits.act_at_last:
            self._react(exit_, stop, actions)
        return ended

    def _do_for_next_run(self) -> None:
        for action in self.for_next_run:
            self.do(action)
        self.for_next_run.clear()

    def _kvm_run(self, kicked: bool) -> int:
        did, self.did = self.did, ()
        pc = self.machine.get_one_reg(PC) if self.pc is None else self.pc
        if self.quantum is None or self.run.immediate_exit or _signalled(did):
            result = self.enter()
        else:
            result = self._by_turns(self.quantum)
        self.run.immediate_exit = 0
        self.pc = None
        gave = None if kicked and result == -errno.EINTR else len(self.recorder.exits)
        self.recorder.entered(gave, did, pc, self.vmm.asked, kicked, self.machine.inside)
        return result

    def _by_turns(self, quantum: int) -> int:
        """Runs the vCPUs that are on, one after the other, until one has something to tell."""
        limits, counts = self.case.limits, self.machine.counts_instructions
        turn, left = (quantum, limits.instructions) if counts else (TURN, limits.seconds)
        while True:
            ticks = min(turn, left)
            seconds = limits.seconds if counts else ticks
            result = self.machine.kvm_run(instructions=int(ticks), seconds=seconds, turn=TURN)
            left -= ticks
            if result != -errno.EINTR or left <= 0:
                return result
            if (following := self.turns.following()) is None:
                return result
            self._turn_to(following)

    def _turn_to(self, number: int) -> None:
        """All that is done from now on is about the vCPU ``number``."""
        last, self.vmm = self.turns.take(number, self.recorder.last, self.vmm)
        self.recorder.turn_to(number, last)
        self._drive(self.machine)

    def _past_consoles(self, result: int) -> int:
        """Answers accesses to consoles, of which no exit is made unless they are stepped, up to
        another exit or error."""
        stepped = stepping(self.vmm.asked.debug)
        while not result and self.consoles.left > 0 and not stepped:
            if not self.consoles.answer(self.run):
                break
            if self.watch is not None:
                self.watch.exits += 1
            result = self.enter() if self.quantum is None else self._by_turns(self.quantum)
        return result

    def _asked_at(self, exit_: Exit) -> tuple[tuple[Action, ...], bool]:
        """What the scenario has done after the exit, and whether it says anything about that."""
        index = len(self.recorder.exits) - 1
        actions = self.reactions.at(exit_, self.recorder.last) + self.on.get(index, ())
        return actions, bool(actions) or index in self.on

    def _react(self, exit_: Exit, stop: StopReason | None, actions: tuple[Action, ...]) -> None:
        if exit_.exit == "MMIO" and not exit_.ret:
            self._answer_mmio(exit_.fields)
        vmm = self.vmm
        if vmm.idle and not actions and stop is not StopReason.BRK:
            return
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


def _signalled(did: Iterable[Deed]) -> bool:
    """Whether the next run only returns, for a signal: not for the end of a vCPU's turn."""
    return any(isinstance(deed, PendSignal) for deed in did)


@lru_cache(maxsize=1024)
def _answers(value: int) -> tuple[Answer]:
    """A guest reads the same again and again."""
    return (Answer(value),)

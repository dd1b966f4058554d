"""The VMM's run loop: ``KVM_RUN``, answer the exit, act, again; what it saw is the trace."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from vcpu_scenario.case import Action, Case, PendSignal, SetRegister
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Answer, Deed, Ending, Exit, GuestException, StopReason, Trace
from vcpu_scenario.vmm.attached import VmmEnds
from vcpu_scenario.vmm.debugger import reason_of, stepping
from vcpu_scenario.vmm.doing import Doing
from vcpu_scenario.vmm.endings import ENDS, ending_of, told
from vcpu_scenario.vmm.recorder import PC
from vcpu_scenario.vmm.setup import Asked, set_up
from vcpu_scenario.vmm.watch import Watch

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
        words, ended, left = told(refusal), Ending.REFUSED, asked.left_of(case)
        return Trace(error=words, errno=refusal.errno, ended=ended, asked=asked.number, left=left)
    except ENDS as error:
        ended, refused = ending_of(error)
        return Trace(refused=refused, ended=ended, asked=asked.number)
    except NotModelled as limit:
        return Trace.never_begun(limit.what)


class _Run(Doing):
    """One run, from exit to exit."""

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
        # A kernel that has something to say before it looks whether it may continue says it now.
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

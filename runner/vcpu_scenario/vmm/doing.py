"""What is done to the VM of a run between two KVM_RUN, and what all of the run has to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ctypes import c_uint64
from functools import partial

from vcpu_scenario.case import Action, Case, HostInterrupt, ImmediateExit, PendSignal, RunVcpu
from vcpu_scenario.ioctls.vm import RestoreSnapshot, TakeSnapshot
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Deed
from vcpu_scenario.vmm.attached import Asker, Itself, asker_of
from vcpu_scenario.vmm.consoles import Consoles
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.endings import Endings
from vcpu_scenario.vmm.patterns import Reactions
from vcpu_scenario.vmm.recorder import Recorder
from vcpu_scenario.vmm.setup import Asked
from vcpu_scenario.vmm.snapshots import Snapshots
from vcpu_scenario.vmm.turns import Turns
from vcpu_scenario.vmm.watch import Watch

_FOR_NEXT_RUN = (ImmediateExit, PendSignal, HostInterrupt)
"""Actions that are about the run that comes next, and not about one that only returns."""


class Doing:
    """A run before its loop: the machine that it is about, its VMM, and what was done."""

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
        asked.done += len(self.case.before)
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

    def _turn_to(self, number: int) -> None:
        """All that is done from now on is about the vCPU ``number``."""
        last, self.vmm = self.turns.take(number, self.recorder.last, self.vmm)
        self.recorder.turn_to(number, last)
        self._drive(self.machine)

"""Who asks the VMM of a scenario for guest debug, and is told of stops.

With ``plain`` that is the scenario itself: it makes the ioctls that it writes down. With any other
VMM it is a debugger that is attached to that, as under a
:class:`~vcpu_scenario.vmm.session.Session`: what the scenario asks for becomes breakpoints, steps
and continues, of which the VMM makes what it makes of them. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, Protocol

from vcpu_scenario.actions import perform
from vcpu_scenario.case import Action, Case, WriteMemory
from vcpu_scenario.course import Point
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Deed, Exit, GuestException, StopReason
from vcpu_scenario.vmm.debugger import BRK, Asked, reason_of, stepping, words_of
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.memory import Memory
from vcpu_scenario.vmm.told import Over
from vcpu_scenario.vmm.vmms import VMMS
from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.terms import HARDWARE, SOFTWARE, WATCHES, WHY, Refused

PLAIN: Final = "plain"
"""The VMM that does what the scenario writes down and nothing else."""

_REASONS: Final = {why: reason for reason, why in WHY.items()}
_KINDS: Final = {kind: number for number, kind in WATCHES.items()}


_POINTS: Final = {
    SOFTWARE: "software breakpoint",
    HARDWARE: "hardware breakpoint",
    **dict.fromkeys(WATCHES, "watchpoint"),
}


class VmmEnds(Exception):
    """The VMM does not do what is asked of it, or there is none any more; the message says what."""


class Asker(Protocol):
    """``asked`` is what KVM is asked for now, with the VMM's own breakpoints; ``kicks`` and
    ``runs_at_pause`` are as :class:`~vcpu_scenario.vmm.vmms.base.Vmm` has them.

    What acts gives what was done, and raises :class:`~vcpu_scenario.machine.errors.KvmError`
    where the kernel refuses it, :class:`VmmEnds` where the VMM does.
    """

    kicks: bool
    runs_at_pause: bool
    idle: bool
    """It does nothing at an exit or a stop but what the scenario asks for."""

    @property
    def asked(self) -> Asked: ...

    def begin(self, debug: GuestDebug | None) -> Iterator[Deed]:
        """What is done for the scenario's own ``debug``, after which the set-up is complete."""

    def do(self, action: Action) -> Iterator[Deed]:
        """Does what the scenario asks for."""

    def reason(self, exit_: Exit) -> StopReason | None:
        """Why the debugger is told of the exit, None where it is not; nothing is done."""

    def exited(self, exit_: Exit) -> tuple[Deed, ...]:
        """What the VMM does at the exit, before anybody acts."""

    def stopped(self) -> Iterable[Deed]:
        """What the VMM does as it stops."""

    def resume(self, told: bool) -> Iterable[Deed]:
        """What it does as it continues; ``told`` says whether from a stop."""


class Itself:
    """The scenario is the VMM."""

    kicks = runs_at_pause = False
    idle = True

    def __init__(self, machine: Machine, breakpoints: frozenset[int] = frozenset()) -> None:
        """``breakpoints`` are those that are there."""
        self._machine = machine
        self.asked = Asked(breakpoints=breakpoints)

    def begin(self, debug: GuestDebug | None) -> Iterator[Deed]:
        if debug is not None:
            yield from self.do(SetGuestDebug(debug))

    def do(self, action: Action) -> Iterator[Deed]:
        self.asked = self.asked.after(action)
        perform(self._machine, action)
        yield action

    def reason(self, exit_: Exit) -> StopReason | None:
        return reason_of(exit_)

    def exited(self, exit_: Exit) -> tuple[Deed, ...]:
        return ()

    def stopped(self) -> tuple[Deed, ...]:
        return ()

    def resume(self, told: bool) -> tuple[Deed, ...]:
        return ()


class Attached:
    """A debugger that is attached to ``vmm`` and wants what the scenario asks for."""

    idle = False

    def __init__(self, machine: Machine, vmm: Vmm) -> None:
        self._machine = machine
        self._vmm: Final = vmm
        self.kicks = vmm.kicks
        self.runs_at_pause = vmm.runs_at_pause
        self._steps = False
        self._turned = False
        """Whether the debugger wants another thing than it went on with."""

    @property
    def asked(self) -> Asked:
        return Asked(self._vmm.debug, frozenset(self._vmm.software))

    def begin(self, debug: GuestDebug | None) -> Iterator[Deed]:
        if debug is not None:
            yield from self.do(SetGuestDebug(debug))

    def do(self, action: Action) -> Iterator[Deed]:
        if isinstance(action, SetGuestDebug):
            yield from self._noting(lambda: self._set(action.debug))
        elif isinstance(action, WriteMemory) and SOFTWARE in self._vmm.points:
            yield from self._noting(lambda: self._write(action))
            yield action
        else:
            perform(self._machine, action)
            yield action

    def reason(self, exit_: Exit) -> StopReason | None:
        told = self._vmm.tells(exit_)
        return None if told is None or isinstance(told, Over) else _REASONS[told.why]

    def exited(self, exit_: Exit) -> tuple[Deed, ...]:
        vmm, before = self._vmm, self._vmm.debug
        told = vmm.exited(exit_)
        if isinstance(told, Over):
            raise VmmEnds(told.words or told.unmodelled)
        gave, vmm.gave = vmm.gave, False
        same = vmm.debug is before or vmm.debug == before
        asked = () if same else (SetGuestDebug(vmm.debug),)
        return (*asked, GuestException()) if gave else asked

    def stopped(self) -> Iterator[Deed]:
        return self._noting(self._vmm.stopped)

    def resume(self, told: bool) -> Iterator[Deed]:
        if told or self._turned:
            self._turned = False
            if not told:
                self._vmm.interrupted()
            yield from self._noting(self._go_on)

    def _go_on(self) -> None:
        (step,) = self._vmm.resumes((self._steps,))
        self._vmm.resume(bool(step))

    def _noting(self, act: Callable[[], object]) -> Iterator[Deed]:
        """Does ``act`` and gives what the VMM asks of KVM in it."""
        before = self._vmm.debug
        act()
        if self._vmm.debug is not before and self._vmm.debug != before:
            yield SetGuestDebug(self._vmm.debug)

    # -- what the debugger sets ------------------------------------------------------------------

    def _set(self, debug: GuestDebug) -> None:
        """Takes away what is not wanted any more, sets what is new."""
        self._steps, self._turned = stepping(debug), True
        there, wanted = set(self._points()), list(_points_of(debug))
        for point in there.difference(wanted):
            self._vmm.remove(*point)
        for point in wanted:
            if point not in there:
                self._insert(point)

    def _points(self) -> Iterator[Point]:
        vmm = self._vmm
        yield from ((HARDWARE, addr, len(BRK)) for addr in vmm.hardware)
        yield from ((_KINDS[one.kind], one.addr, one.length) for one in vmm.watches)

    def _insert(self, point: Point) -> None:
        kind, addr, _ = point
        try:
            if kind not in self._vmm.points:
                raise Refused
            self._vmm.insert(*point)
        except Refused:
            raise VmmEnds(f"{self._vmm.name} sets no {_POINTS[kind]} at {addr:#x}") from None

    def _write(self, write: WriteMemory) -> None:
        """A ``BRK #0`` is a breakpoint of the debugger's; what is written over it takes it away."""
        vmm = self._vmm
        written = dict(words_of(write))
        brks = [addr for addr, word in written.items() if word == BRK]
        for addr in [one for one in vmm.software if one in written and one not in brks]:
            vmm.remove(SOFTWARE, addr, len(BRK))
        new = [addr for addr in brks if addr not in vmm.software]
        data = bytearray(write.data)
        for addr in brks:
            there = self._machine.memory.read(addr, len(BRK))
            data[addr - write.addr : addr - write.addr + len(BRK)] = there
        if len(brks) * len(BRK) != len(data):
            perform(self._machine, WriteMemory(write.addr, bytes(data)))
        for addr in new:
            self._insert((SOFTWARE, addr, len(BRK)))
            self._turned = True


def _points_of(debug: GuestDebug) -> Iterator[Point]:
    """What a debugger sets to have that asked for."""
    if not debug.control & abi.KVM_GUESTDBG_USE_HW:
        return iter(())
    return chain(
        ((HARDWARE, addr, len(BRK)) for addr in debug.hw_bp),
        ((_KINDS[one.type], one.addr, one.len) for one in debug.watch),
    )


def asker_of(machine: Machine, case: Case, bus: Bus) -> Asker:
    """The one for ``case``, whose VM is set up: of several vCPUs that for the first.

    Raises KeyError for a VMM that is not known, and
    :class:`~vcpu_scenario.machine.errors.Unsupported` where a debugger would have several vCPUs.
    """
    if case.vmm == PLAIN:
        return Itself(machine)
    if case.several:
        raise Unsupported(f"a debugger of {case.vmm} is for one vCPU, and this VM has several")
    return Attached(machine, VMMS[case.vmm](machine, Memory(machine, case, bus)))

"""A debugger that only steps: what a VMM tells it, from the first instruction to the last.

Where the case asks for breakpoints or watchpoints and never for a step, it sets those and continues
in place of that; as gdb does, it takes what it stopped at away to go on from it. Standard library
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Final, Protocol

from vcpu_scenario.case import Case, WriteMemory
from vcpu_scenario.course import Course, End, Landing, Point, Why
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Entry, Exit, GuestException, Trace
from vcpu_scenario.vmm.debugger import BRK, stepping
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.told import Over, Told
from vcpu_scenario.vmm.vmms.terms import CPSR, HARDWARE, PC, SOFTWARE, Refused

MOST: Final = 100
"""Stops after which it has seen enough."""
_SAME: Final = 10
"""Stops at one place, with the same registers, after which it has."""
_LOOKS: Final = 10
"""Slices of a resume after which the guest does not come back."""
_WATCH: Final = {"w": 2, "r": 3, "rw": 4}


def step_through(machine: Machine, case: Case, vmm: str) -> Course:
    """Steps ``case`` through on ``machine``, through the eyes of the VMM of that name.

    Raises KeyError for one that is not in :data:`~vcpu_scenario.vmm.vmms.VMMS`.
    """
    if case.several:
        raise Unsupported("one vCPU is stepped through, and this VM has several")
    try:
        session = Session(machine, case, vmm)
        return course_of(session)
    except KvmError as refusal:
        return Course((), End.REFUSED, f"{refusal.what}: errno {refusal.errno}")
    except NotModelled as limit:
        return Course((), End.NOT_MODELLED, limit.what)


def course_of(session: Steppable) -> Course:
    """Steps through what ``session`` is at the start of."""
    return _Client(session).course()


class Stub(Protocol):
    """What of a VMM a debugger asks beside its resumes."""

    @property
    def points(self) -> frozenset[int]: ...

    def insert(self, kind: int, addr: int, length: int) -> None: ...

    def remove(self, kind: int, addr: int, length: int) -> None: ...

    def read_registers(self) -> tuple[int, ...]: ...

    def write_memory(self, addr: int, data: bytes) -> None: ...


class Steppable(Protocol):
    """A VMM with a debugger attached: :class:`~vcpu_scenario.vmm.session.Session`, or one that is
    spoken to over its gdbstub."""

    waiting: bool
    entries: list[Entry]
    exits: list[Exit]

    @property
    def case(self) -> Case: ...

    @property
    def vmm(self) -> Stub: ...

    @property
    def memory(self) -> Readable: ...

    @property
    def pc(self) -> int: ...

    @property
    def patience(self) -> float: ...

    def resume(self, step: bool, interrupted: Callable[[], bool]) -> Told: ...


class Readable(Protocol):
    def read_virtual(self, addr: int, length: int) -> bytes: ...


class _Client:
    def __init__(self, session: Steppable) -> None:
        self._session: Final = session
        points = list(_asked(session.case))
        self._steps = not points
        self._unset = tuple(point for point in points if not self._insert(point))
        self._points = [point for point in points if point not in self._unset]
        self._waited = False
        self._landings = [self._landing(Why.START)]

    # -- breakpoints -----------------------------------------------------------------------------

    def _insert(self, point: Point) -> bool:
        """Whether it is set; a software breakpoint that the stub has no packet for is written."""
        vmm = self._session.vmm
        try:
            if point[0] in vmm.points:
                vmm.insert(*point)
            elif point[0] == SOFTWARE:
                vmm.write_memory(point[1], BRK)
            else:
                return False
        except (Refused, Unreachable):
            return False
        return True

    def _remove(self, point: Point) -> None:
        vmm = self._session.vmm
        if point[0] in vmm.points:
            with suppress(Refused):
                vmm.remove(*point)
            return
        for load in reversed(self._session.case.loads):
            offset = point[1] - load.addr
            if 0 <= offset < len(load.data):
                vmm.write_memory(point[1], load.data[offset : offset + len(BRK)])
                return

    # -- running ---------------------------------------------------------------------------------

    def course(self) -> Course:
        end, words = self._until_it_ends()
        session = self._session
        *_, before, last = None, *self._landings
        since = before if end is End.NOWHERE and before else last
        assert since is not None
        did = [deed for entry in session.entries[since.entries :] for deed in entry.did]
        return Course(
            tuple(self._landings),
            end,
            words,
            session.pc,
            any(isinstance(deed, GuestException) for deed in did),
            self._unset,
            Trace(tuple(session.exits), entries=tuple(session.entries)),
        )

    def _until_it_ends(self) -> tuple[End, str]:
        while len(self._landings) <= MOST:
            told = self._go_on()
            if isinstance(told, Over):
                if told.unmodelled:
                    return End.NOT_MODELLED, told.unmodelled
                return (End.VMM, told.words) if told.status else (End.OFF, told.words)
            if told.why is Why.LOST:
                return End.VMM, told.words
            if told.why is Why.INTERRUPT:
                return (End.WAITS if self._waited else End.RUNS), ""
            self._landings.append(self._landing(told.why))
            same = {each.regs[:CPSR] for each in self._landings[-_SAME:]}
            if len(self._landings) >= _SAME and len(same) == 1:
                break
            if end := self._ended():
                return end, ""
        return End.ENOUGH, ""

    def _go_on(self) -> Told:
        """Resumes; from a breakpoint or over a watched access by a step without them."""
        aside = self._in_the_way()
        if not aside:
            return self._resume(self._steps)
        for point in aside:
            self._remove(point)
        told = self._resume(step=True)
        if isinstance(told, Over):
            return told
        for point in aside:
            self._insert(point)
        here = any(map(self._is_here, self._points))
        return self._resume(step=False) if told.why is Why.STEP and not here else told

    def _in_the_way(self) -> list[Point]:
        """A watchpoint stops before the access, which has to be made without it."""
        watched = self._landings[-1].why is Why.WATCH
        return [
            one for one in self._points if self._is_here(one) or (watched and one[0] > HARDWARE)
        ]

    def _is_here(self, point: Point) -> bool:
        return point[0] <= HARDWARE and point[1] == self._session.pc

    def _resume(self, step: bool) -> Told:
        looks, start = count(), monotonic()
        session = self._session
        self._waited = False

        def seen_enough() -> bool:
            self._waited = session.waiting
            over = next(looks) >= _LOOKS
            return self._waited or (over and monotonic() - start >= session.patience)

        return session.resume(step, seen_enough)

    def _landing(self, why: Why) -> Landing:
        session = self._session
        regs = session.vmm.read_registers()
        return Landing(why, regs[PC], regs, len(session.entries), len(session.exits))

    def _ended(self) -> End | None:
        """Where there is nothing more to step."""
        session, pc = self._session, self._landings[-1].pc
        try:
            word = session.memory.read_virtual(pc, len(BRK))
        except Unreachable:
            word = bytes(len(BRK))
        if any(word):
            return None
        ends = (load.addr + len(load.data) for load in session.case.loads)
        return End.CODE if pc in ends else End.NOWHERE


def _asked(case: Case) -> Iterator[Point]:
    """What the case asks for in its debugger's place, unless it ever asks for a step."""
    debugs = [act.debug for act in case.all_actions() if isinstance(act, SetGuestDebug)]
    debug = case.debug or GuestDebug()
    if any(map(stepping, [debug, *debugs])):
        return
    for action in case.before:
        if isinstance(action, WriteMemory) and action.data == BRK:
            yield SOFTWARE, action.addr, len(BRK)
    if debug.control & abi.KVM_GUESTDBG_USE_HW:
        yield from ((HARDWARE, addr, len(BRK)) for addr in debug.hw_bp)
        yield from ((_WATCH[watch.type], watch.addr, watch.len) for watch in debug.watch)

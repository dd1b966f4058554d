"""The way back: what was done to the guest is done again on a new one, up to where it is to be.

The emulated machine is deterministic, and so is a session of it: registers, memory, breakpoints,
resumes, and a ^C as a number of slices of a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count, takewhile
from typing import Final, NamedTuple, Protocol

from vcpu_scenario.case import Action
from vcpu_scenario.vmm.session import SLICE, Session
from vcpu_scenario.vmm.told import Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms.base import CPSR, HARDWARE, SOFTWARE

_SS: Final = 1 << 21
"""PSTATE.SS, which is no state of the guest's own."""
_FURTHEST: Final = 12_000
"""Steps in place of one resume that are tried before it counts as one."""
_CLOSE: Final = 100
"""Instructions that are stepped at the end of a resume, to find the last one."""

_MOST_LOOKS: Final = 100

Point = tuple[int, int, int]


class Op(Protocol):
    """One thing that was done."""

    def do(self, session: Session) -> None: ...


class SetRegister(NamedTuple):
    number: int
    value: int

    def do(self, session: Session) -> None:
        session.vmm.write_register(self.number, self.value)


class WriteMemory(NamedTuple):
    addr: int
    data: bytes

    def do(self, session: Session) -> None:
        session.vmm.write_memory(self.addr, self.data)


class ReadMemory(NamedTuple):
    """A device may change by being read."""

    addr: int
    length: int

    def do(self, session: Session) -> None:
        session.vmm.read_memory(self.addr, self.length)


class Insert(NamedTuple):
    point: Point

    def do(self, session: Session) -> None:
        session.vmm.insert(*self.point)


class Remove(NamedTuple):
    point: Point

    def do(self, session: Session) -> None:
        session.vmm.remove(*self.point)


class Act(NamedTuple):
    """What the monitor was asked for."""

    action: Action

    def do(self, session: Session) -> None:
        session.act(self.action)


class Resume(NamedTuple):
    """``looks`` is how often the VMM looked for a ^C, and ``interrupted`` whether one came at the
    last look; ``pc`` and ``after`` are the state then, of a step the pc alone. ``pace`` is how many
    instructions are between two looks."""

    step: bool
    looks: int
    interrupted: bool
    pc: int
    after: tuple[int, ...] = ()
    pace: int = SLICE

    def do(self, session: Session) -> None:
        looks = count(1)

        def look() -> bool:
            # What went its way once does so again; if it does not, it is not to go on for ever.
            return next(looks) >= self.looks + (not self.interrupted)

        session.resume(self.step, look, self.pace)


Leave = Callable[[int, "Sequence[Op]", Sequence[Point], Told], None]
"""Called with how many of the things done are those of the way that is to be gone, that way, the
breakpoints that are to be set at its end, and what is told there. It comes back where nobody is
nearer."""


class History:
    """A session with its past; ``make`` makes one at its start. ``leave`` may go another way back
    than from there on."""

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make: Final = make
        self.session = make()
        self._ops: list[Op] = []
        self._points: list[Point] = []
        self.leave: Leave | None = None

    # -- what the debugger does ------------------------------------------------------------------

    def read_register(self, number: int) -> int:
        return self.session.vmm.read_register(number)

    def write_register(self, number: int, value: int) -> None:
        self._do(SetRegister(number, value))

    def read_memory(self, addr: int, length: int) -> bytes:
        session = self.session
        data = session.vmm.read_memory(addr, length)
        if session.memory.reads_device(addr, length):
            self._ops.append(ReadMemory(addr, length))
        return data

    def write_memory(self, addr: int, data: bytes) -> None:
        self._do(WriteMemory(addr, data))

    def insert(self, kind: int, addr: int, length: int) -> None:
        point = kind, addr, length
        self._do(Insert(point))
        self._points.append(point)

    def remove(self, kind: int, addr: int, length: int) -> None:
        point = kind, addr, length
        self._do(Remove(point))
        if point in self._points:
            self._points.remove(point)

    def act(self, action: Action) -> None:
        """Does what a VMM does between two runs. Raises what the machine raises."""
        self._do(Act(action))

    def clear_points(self) -> None:
        for point in list(self._points):
            self.remove(*point)

    def resume(self, step: bool, interrupted: Callable[[], bool]) -> Told:
        looks, came = 0, False

        def look() -> bool:
            nonlocal looks, came
            if not self.session.waiting:  # how long is no matter of the guest's
                looks += 1
            came = interrupted()
            return came

        told = self.session.resume(step, look)
        session = self.session
        after = () if step else self.state(session)
        self._ops.append(Resume(step, looks, came, session.pc, after))
        return told

    def _do(self, op: Op) -> None:
        op.do(self.session)
        self._ops.append(op)

    # -- back ------------------------------------------------------------------------------------

    def back(self, step: bool) -> Told | None:
        resumes = [number for number, op in enumerate(self._ops) if isinstance(op, Resume)]
        if not resumes:
            return None
        return self._step_back(resumes[-1]) if step else self._back_to_point()

    def _step_back(self, last: int) -> Told:
        """To before the last step; before the last of the steps that make a longer resume."""
        fine = self._end_of(last) or self._steps_of(last)
        before = max(number for number, op in enumerate(fine) if isinstance(op, Resume))
        return self._go_to([*self._ops[:last], *fine[:before]], Stopped(Why.STEP))

    def _back_to_point(self) -> Told | None:
        """One replay forth notes the last breakpoint that was passed before now."""
        fine: list[Op] = []
        for number, op in enumerate(self._ops):
            fine += self._steps_of(number) if isinstance(op, Resume) else [op]
        addresses = {addr for kind, addr, _ in self._points if kind in (SOFTWARE, HARDWARE)}
        last = max(number for number, op in enumerate(fine) if isinstance(op, Resume))
        hits = [
            number
            for number, op in enumerate(fine[:last])
            if isinstance(op, Resume) and op.pc in addresses
        ]
        if not hits:
            self._go_to([], Stopped(Why.START))
            return None
        return self._go_to(fine[: hits[-1] + 1], Stopped(Why.SOFTWARE))

    def _end_of(self, number: int) -> list[Op]:
        """What comes to the same as a long resume and ends in steps: up to the last slice in one
        go, then to the last short slice. None where no steps do."""
        op = self._ops[number]
        assert isinstance(op, Resume)
        if op.step:
            return []
        before, way = self._ops[:number], list[Op]()
        session = _done(self._make(), before)
        try:
            if op.looks - op.interrupted > 1:
                way.append(self._partly(session, op.looks - op.interrupted, op.pace))
            looks = 0 if op.pace <= _CLOSE else self._looks_to(session, op)
        finally:
            session.close()
        session = _done(self._make(), [*before, *way])
        try:
            if looks - op.interrupted > 1:
                way.append(self._partly(session, looks - op.interrupted, _CLOSE))
            steps = self._steps_to(session, op, [*before, *way], 2 * _CLOSE) if way else []
        finally:
            session.close()
        return [*way, *steps] if steps else []

    def _looks_to(self, session: Session, op: Resume) -> int:
        """How often a VMM looks on the way to the end of ``op`` if its slices are short; 0 where it
        does not come there."""
        looks = 0

        def there() -> bool:
            nonlocal looks
            looks += 1
            too_often = looks > op.pace // _CLOSE + _MOST_LOOKS
            return too_often or (op.interrupted and looks > 1 and self._is_after(session, op))

        told = session.resume(False, there, _CLOSE)
        interrupted = isinstance(told, Stopped) and told.why is Why.INTERRUPT
        return looks if interrupted == op.interrupted and self._is_after(session, op) else 0

    def _partly(self, session: Session, looks: int, pace: int) -> Resume:
        """Goes on up to a look, at which a ^C comes."""
        Resume(False, looks, True, 0, pace=pace).do(session)
        return Resume(False, looks, True, session.pc, self.state(session), pace)

    def _is_after(self, session: Session, op: Resume) -> bool:
        return session.pc == op.pc and self.state(session) == op.after

    def _steps_of(self, number: int) -> list[Op]:
        """The steps that come to the same as the resume of that number, between which nothing is
        set; the resume itself where it is one, or where no steps do."""
        op = self._ops[number]
        assert isinstance(op, Resume)
        if op.step:
            return [op]
        before = self._ops[:number]
        session = _done(self._make(), before)
        try:
            if self.state(session) == op.after:
                return [op]  # the ^C came before it went on
            return self._steps_to(session, op, before, _FURTHEST) or [op]
        finally:
            session.close()

    def _steps_to(self, session: Session, op: Resume, before: Sequence[Op], most: int) -> list[Op]:
        """The steps from where ``session`` is after ``before`` to the end of ``op``; none where no
        such number of steps leads there."""
        lifted = _set_in(before)
        steps: list[Op] = [Remove(point) for point in lifted]
        for each in steps:
            each.do(session)
        while len(steps) < most and not isinstance(_stepped(session), Over):
            steps.append(Resume(True, _MOST_LOOKS, False, session.pc))
            if self._is_after(session, op):
                return [*steps, *map(Insert, lifted)]
        return []

    def _go_to(self, ops: Sequence[Op], told: Told) -> Told:
        if self.leave is not None:
            pairs = zip(self._ops, ops, strict=False)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            self.leave(same, ops, self._points, told)
        session = _done(self._make(), ops)
        self.session.close()
        self.session, self._ops = session, list(ops)
        self.set_points(self._points)
        return told

    def arrive(self, ops: Sequence[Op]) -> None:
        """Goes on from here by what was done once."""
        _done(self.session, ops)
        self._ops += ops

    def set_points(self, wanted: Sequence[Point]) -> None:
        """Has the debugger's breakpoints as they are to be, whatever they were here once."""
        self._points = there = _set_in(self._ops)
        for point in [one for one in there if one not in wanted]:
            self.remove(*point)
        for point in [one for one in wanted if one not in there]:
            self.insert(*point)

    def again(self, make: Callable[[], Session]) -> Session:
        """Another session, to which everything is done that was done to this one."""
        return _done(make(), self._ops)

    @property
    def length(self) -> int:
        """How much was done."""
        return len(self._ops)

    @staticmethod
    def state(session: Session) -> tuple[int, ...]:
        """The registers in which two stops are compared."""
        if session.over:
            return (0,) * (CPSR + 1)
        vmm = session.vmm
        *most, pstate = (vmm.read_register(number) for number in range(CPSR + 1))
        return (*most, pstate & ~_SS)

    def close(self) -> None:
        self.session.close()


def _done(session: Session, ops: Iterable[Op]) -> Session:
    for op in ops:
        op.do(session)
    return session


def _set_in(ops: Iterable[Op]) -> list[Point]:
    """The breakpoints that are set after ``ops``."""
    points: list[Point] = []
    for op in ops:
        if isinstance(op, Insert):
            points.append(op.point)
        elif isinstance(op, Remove) and op.point in points:
            points.remove(op.point)
    return points


def _stepped(session: Session) -> Told:
    """A step, which a guest that never comes to its end does not hold up."""
    looks = count()
    return session.resume(True, lambda: next(looks) > _MOST_LOOKS)

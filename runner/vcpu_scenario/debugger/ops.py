"""The things that are done to a session, each of which can be done again on a new one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import NamedTuple, Protocol

from vcpu_scenario.case import Action
from vcpu_scenario.vmm.session import SLICE, Session, Steps

Point = tuple[int, int, int]


class Op(Protocol):
    """One thing that was done."""

    def do(self, session: Session) -> None: ...


class Synchronize(NamedTuple):
    """Registers are shown as they are, where they were not before."""

    def do(self, session: Session) -> None:
        session.vmm.synchronize()


class Select(NamedTuple):
    """The vCPU that the debugger looks at from now on."""

    vcpu: int

    def do(self, session: Session) -> None:
        session.select(self.vcpu)


class Choose(NamedTuple):
    """The vCPU that a step is of, where that does not say which."""

    vcpu: int

    def do(self, session: Session) -> None:
        session.chosen = self.vcpu


class ReadRegister(NamedTuple):
    """One of a VMM's system registers is looked at, such as the counter, which takes its time."""

    number: int

    def do(self, session: Session) -> None:
        session.vmm.read_register(self.number)


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

    step: Steps
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


def done(session: Session, ops: Iterable[Op]) -> Session:
    for op in ops:
        op.do(session)
    return session


def set_in(ops: Iterable[Op]) -> list[Point]:
    """The breakpoints that are set after ``ops``."""
    points: list[Point] = []
    for op in ops:
        if isinstance(op, Insert):
            points.append(op.point)
        elif isinstance(op, Remove) and op.point in points:
            points.remove(op.point)
    return points

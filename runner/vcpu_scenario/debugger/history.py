"""The way back: what was done to the guest is done again on a new one, up to where it is to be.

The emulated machine is deterministic, and so is a session of it: registers, memory, breakpoints,
resumes, and a ^C as a number of slices of a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Final

from vcpu_scenario.case import Action
from vcpu_scenario.debugger.finer import end_of, state_of, steps_of
from vcpu_scenario.debugger.ops import (
    Act,
    Choose,
    Insert,
    Op,
    Point,
    ReadMemory,
    ReadRegister,
    Remove,
    Resume,
    Select,
    SetRegister,
    Synchronize,
    WriteMemory,
    done,
    set_in,
)
from vcpu_scenario.vmm.session import Session, Steps
from vcpu_scenario.vmm.told import Stopped, Told, Why
from vcpu_scenario.vmm.vmms.terms import FPCR, HARDWARE, SOFTWARE, Refused

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

    def select(self, vcpu: int) -> None:
        if vcpu != self.session.vcpu:
            self._do(Select(vcpu))

    def choose(self, vcpu: int) -> None:
        if vcpu != self.session.chosen:
            self._do(Choose(vcpu))

    def read_register(self, number: int) -> int:
        value = self.session.vmm.read_register(number)
        if number > FPCR:
            self._ops.append(ReadRegister(number))
        return value

    def synchronize(self) -> None:
        if self.session.vmm.synchronize():
            self._ops.append(Synchronize())

    def write_register(self, number: int, value: int) -> None:
        self._do(SetRegister(number, value))

    def read_memory(self, addr: int, length: int) -> bytes:
        session = self.session
        if session.vmm.translates:
            self.synchronize()
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
            with suppress(Refused):  # it may have been written over
                self.remove(*point)
        self._points = []

    def resume(self, step: Steps, interrupted: Callable[[], bool]) -> Told:
        looks, came = 0, False

        def look() -> bool:
            nonlocal looks, came
            if not self.session.waiting:  # how long is no matter of the guest's
                looks += 1
            came = interrupted()
            return came

        told = self.session.resume(step, look)
        session = self.session
        after = () if step is True else state_of(session)
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
        op, before_it = self._ops[last], self._ops[:last]
        assert isinstance(op, Resume)
        fine = self._end_of(before_it, op)
        before = max(number for number, op in enumerate(fine) if isinstance(op, Resume))
        return self._go_to([*before_it, *fine[:before]], Stopped(Why.STEP))

    def _end_of(self, before: Sequence[Op], op: Resume) -> list[Op]:
        several = self.session.count > 1
        return [op] if several else end_of(self._make, before, op) or self._steps_of(before, op)

    def _steps_of(self, before: Sequence[Op], op: Resume) -> list[Op]:
        """With several vCPUs it counts as one: by steps they would have other turns."""
        return [op] if self.session.count > 1 else steps_of(self._make, before, op)

    def _back_to_point(self) -> Told | None:
        """One replay forth notes the last breakpoint that was passed before now."""
        fine: list[Op] = []
        for number, op in enumerate(self._ops):
            before = self._ops[:number]
            fine += self._steps_of(before, op) if isinstance(op, Resume) else [op]
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

    def _go_to(self, ops: Sequence[Op], told: Told) -> Told:
        if self.leave is not None:
            pairs = zip(self._ops, ops, strict=False)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            self.leave(same, ops, self._points, told)
        session = done(self._make(), ops)
        self.session.close()
        self.session, self._ops = session, list(ops)
        self.set_points(self._points)
        return told

    def arrive(self, ops: Sequence[Op]) -> None:
        """Goes on from here by what was done once."""
        done(self.session, ops)
        self._ops += ops

    def set_points(self, wanted: Sequence[Point]) -> None:
        """Has the debugger's breakpoints as they are to be, whatever they were here once, and shows
        it the vCPU that it is told of."""
        self.select(self.session.chosen)
        self._points = there = set_in(self._ops)
        for point in [one for one in there if one not in wanted]:
            with suppress(Refused):
                self.remove(*point)
        for point in [one for one in wanted if one not in there]:
            with suppress(Refused):
                self.insert(*point)

    def again(self, make: Callable[[], Session]) -> Session:
        """Another session, to which everything is done that was done to this one."""
        return done(make(), self._ops)

    @property
    def length(self) -> int:
        """How much was done."""
        return len(self._ops)

    def close(self) -> None:
        self.session.close()

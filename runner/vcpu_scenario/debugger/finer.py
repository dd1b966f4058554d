"""A resume as the steps that it was made of, found on sessions of their own by trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from typing import Final

from vcpu_scenario.debugger.ops import Insert, Op, Point, Remove, Resume, done, set_in
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.told import Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms.terms import CPSR, Refused

_SS: Final = 1 << 21
"""PSTATE.SS, which is no state of the guest's own."""
_FURTHEST: Final = 12_000
"""Steps in place of one resume that are tried before it counts as one."""
_CLOSE: Final = 100
"""Instructions that are stepped at the end of a resume, to find the last one."""
_MOST_LOOKS: Final = 100


def state_of(session: Session) -> tuple[int, ...]:
    """The registers in which two stops are compared."""
    if session.over:
        return (0,) * (CPSR + 1)
    *most, pstate = session.vmm.state()
    return (*most, pstate & ~_SS)


def end_of(make: Callable[[], Session], before: Sequence[Op], op: Resume) -> list[Op]:
    """What comes to the same as a long resume after ``before`` and ends in steps: up to the last
    slice in one go, then to the last short slice. None where no steps do."""
    if op.step:
        return []
    way: list[Op] = []
    with closing(done(make(), before)) as session:
        if op.looks - op.interrupted > 1:
            way.append(_partly(session, op.looks - op.interrupted, op.pace))
        looks = 0 if op.pace <= _CLOSE else _looks_to(session, op)
    with closing(done(make(), [*before, *way])) as session:
        if looks - op.interrupted > 1:
            way.append(_partly(session, looks - op.interrupted, _CLOSE))
        steps = _steps_to(session, op, [*before, *way], 2 * _CLOSE) if way else []
    return [*way, *steps] if steps else []


def steps_of(make: Callable[[], Session], before: Sequence[Op], op: Resume) -> list[Op]:
    """The steps that come to the same as a resume after ``before``, between which nothing is set;
    the resume itself where it is one, or where no steps do."""
    if op.step:
        return [op]
    with closing(done(make(), before)) as session:
        if state_of(session) == op.after:
            return [op]  # the ^C came before it went on
        return _steps_to(session, op, before, _FURTHEST) or [op]


def _looks_to(session: Session, op: Resume) -> int:
    """How often a VMM looks on the way to the end of ``op`` if its slices are short; 0 where it
    does not come there."""
    looks = 0

    def there() -> bool:
        nonlocal looks
        looks += 1
        too_often = looks > op.pace // _CLOSE + _MOST_LOOKS
        return too_often or (op.interrupted and looks > 1 and _is_after(session, op))

    told = session.resume(False, there, _CLOSE)
    interrupted = isinstance(told, Stopped) and told.why is Why.INTERRUPT
    return looks if interrupted == op.interrupted and _is_after(session, op) else 0


def _partly(session: Session, looks: int, pace: int) -> Resume:
    """Goes on up to a look, at which a ^C comes."""
    Resume(False, looks, True, 0, pace=pace).do(session)
    return Resume(False, looks, True, session.pc, state_of(session), pace)


def _is_after(session: Session, op: Resume) -> bool:
    return session.pc == op.pc and state_of(session) == op.after


def _steps_to(session: Session, op: Resume, before: Sequence[Op], most: int) -> list[Op]:
    """The steps from where ``session`` is after ``before`` to the end of ``op``; none where no
    such number of steps leads there."""
    lifted = [point for point in set_in(before) if _lifts(session, point)]
    steps: list[Op] = [*map(Remove, lifted)]
    while len(steps) < most and not isinstance(_stepped(session), Over):
        steps.append(Resume(True, _MOST_LOOKS, False, session.pc))
        if _is_after(session, op):
            return [*steps, *map(Insert, lifted)]
    return []


def _lifts(session: Session, point: Point) -> bool:
    """Whether it was taken away; one that was set twice may be there once, and one that was written
    over not at all."""
    try:
        Remove(point).do(session)
    except Refused:
        return False
    return True


def _stepped(session: Session) -> Told:
    """A step, which a guest that never comes to its end does not hold up."""
    looks = count()
    return session.resume(True, lambda: next(looks) > _MOST_LOOKS)

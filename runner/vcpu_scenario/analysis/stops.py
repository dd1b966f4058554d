"""What each VMM tells a debugger that steps a scenario, under each kernel.

A session is driven from the first instruction on; neighbouring kernels under which every VMM tells
the same are a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from vcpu_scenario.arm64.esr import STEP_COMPLETE
from vcpu_scenario.course import Course, End, Landing, Point, Why
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.trace import Stop, StopReason
from vcpu_scenario.verdict.records import Place, StopFinding
from vcpu_scenario.verdict.result import guest_of
from vcpu_scenario.verdict.stops import found_between
from vcpu_scenario.vmm.stepping import step_through

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.verdict.guest import Guest

Run: TypeAlias = Callable[["ScenarioCase", str], Course]
"""Steps a case through with the VMM of that name."""

_REASONS: Final = {
    Why.SOFTWARE: StopReason.BRK,
    Why.HARDWARE: StopReason.HARDWARE_BREAKPOINT,
    Why.WATCH: StopReason.WATCHPOINT,
}


class Told(Struct, frozen=True):
    """One stop: where the debugger finds the guest, and why as far as it is told."""

    place: Place
    why: Why


class Cell(Struct, frozen=True):
    """What one VMM tells under one kernel.

    ``told`` are its stops in order, the start first; ``findings`` the instructions of which it
    tells too little or too much, by the number of the stop. ``place`` is where the guest was when
    it ended, after the last stop; ``given`` says that the VMM had made an exit the guest's own
    exception then. ``unset`` are the breakpoints that it does not set.
    """

    told: tuple[Told, ...]
    findings: tuple[StopFinding, ...]
    end: End
    words: str
    place: Place
    given: bool
    unset: tuple[Point, ...]


class Row(Struct, frozen=True):
    """Kernels that follow each other and under which all VMMs tell the same; a cell for each."""

    kernels: tuple[str, ...]
    cells: tuple[Cell, ...]


class Table(Struct, frozen=True):
    """The rows of one scenario with one combination of parameters, oldest first.

    ``case`` is that on the oldest kernel; ``machine`` names the machine where it is a real one.
    ``left_out`` has each kernel that the machine cannot run the case on, with why; ``carried`` the
    release of each VMM that told it itself, by name.
    """

    case: ScenarioCase
    vmms: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    machine: str = ""
    carried: Mapping[str, str] = field(default_factory=dict)


def emulated(case: ScenarioCase, vmm: str) -> Course:
    """On an emulated machine of the case's kernel; may raise :class:`Unsupported`."""
    from vcpu_scenario.machine.emulated.machine import create

    with closing(create(case.kernel)) as machine:
        return step_through(machine, case.case, vmm)


def tables(
    cases: Iterable[ScenarioCase], vmms: Sequence[str], run: Run = emulated, machine: str = ""
) -> list[Table]:
    """A table for each scenario, combination of parameters and kind of kernel. ``cases`` are those
    of the kernels to look at, once each."""
    series: dict[tuple[str, str], list[ScenarioCase]] = {}
    for case in cases:
        kind = case.id.rpartition("@")[0], parse_release(case.kernel).kind
        series.setdefault(kind, []).append(case)
    return [_table(each, tuple(vmms), run, machine) for each in series.values()]


def _table(cases: Sequence[ScenarioCase], vmms: tuple[str, ...], run: Run, machine: str) -> Table:
    ordered = sorted(cases, key=lambda each: parse_release(each.kernel))
    rows: list[Row] = []
    left_out: list[tuple[str, str]] = []
    for case in ordered:
        try:
            cells = tuple(cell(case, run(case, vmm)) for vmm in vmms)
        except Unsupported as unsupported:
            left_out.append((case.kernel, str(unsupported)))
            continue
        if all(each.end is End.LEFT_OUT for each in cells):
            left_out.append((case.kernel, cells[0].words))
            continue
        if rows and rows[-1].cells == cells:
            rows[-1] = replace(rows[-1], kernels=(*rows[-1].kernels, case.kernel))
        else:
            rows.append(Row((case.kernel,), cells))
    return Table(ordered[0], vmms, tuple(rows), tuple(left_out), machine)


def cell(case: ScenarioCase, course: Course) -> Cell:
    """What came of a course, in the names of the guest's code."""
    guest = guest_of(case)
    return Cell(
        tuple(Told(guest.place(each.pc), each.why) for each in course.landings),
        tuple(findings(course, guest)),
        course.end,
        course.words,
        guest.place(course.pc),
        course.given,
        course.unset,
    )


def findings(course: Course, guest: Guest) -> Iterator[StopFinding]:
    """The instructions that the stops skip and those that they report twice.

    Where the guest switched itself off there is no last stop; what ran before that, behind the
    stop before, is skipped as well.
    """
    trace, landings = course.trace, list(course.landings)
    if course.end is End.OFF and landings:
        last = Landing(Why.STEP, course.pc, (), len(trace.entries), len(trace.exits))
        landings.append(last)
    for number, (earlier, later) in enumerate(pairwise(landings), start=1):
        between = trace.entries[earlier.entries : later.entries]
        syndrome = _syndrome(course, earlier, later, guest)
        found = found_between(_stop(earlier), _stop(later), number, between, syndrome, guest)
        off = number >= len(course.landings)
        yield from (each for each in found if each.kind == "skipped" or not off)


def _syndrome(course: Course, earlier: Landing, later: Landing, guest: Guest) -> int:
    """That of the later stop. Where nobody saw an exit, a guest that the code leads back to where
    it was is taken to have gone round."""
    if later.exits > earlier.exits:
        return int(course.trace.exits[later.exits - 1].fields.get("hsr", 0))
    return STEP_COMPLETE if guest.loop(later.pc) else 0


def _stop(landing: Landing) -> Stop:
    reason = _REASONS.get(landing.why, StopReason.STEP)
    return Stop(landing.pc, reason, {}, landing.exits - 1)

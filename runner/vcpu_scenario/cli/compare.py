"""``scenario compare``: the same cases on two machines, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeGuard

from msgspec.structs import replace

from vcpu_scenario.cli.interrupt import UntilAsked
from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.machines import LabArguments, failing, machine, selection_for
from vcpu_scenario.cli.nothing import NO_CASE, nothing
from vcpu_scenario.cli.output import complain, painted, say, width
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.running.select import Selection
from vcpu_scenario.running.targets import Found, Lost, Skipped, Target
from vcpu_scenario.trace import Trace

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.report.styled import Line


def compare(
    paths: Sequence[str],
    selection: Selection,
    names: Sequence[str],
    lab: LabArguments,
    *,
    everything: bool,
) -> Status:
    """Runs each case selected on both machines; prints those that differ, or ``everything``."""
    if len(names) != 2:
        raise UsageError("--machine: name two, such as emulated:6.12 and lab:6.12")
    scenarios = scenarios_of(paths, "nothing was compared")
    with ExitStack() as both:
        beside_lab = any(name.startswith("lab:") for name in names)
        one, other = (
            both.enter_context(machine(name, lab, selection.hosts, beside_lab=beside_lab))
            for name in names
        )
        pairs = list(_pairs(selection, scenarios, one, other))
        if not pairs:
            complain(_why_nothing(selection, scenarios, one.kernel or other.kernel))
            return Status.NOTHING_SELECTED
        differing = skipped = unmodelled = 0
        with UntilAsked(pairs) as to_do:
            for first, second in to_do:
                with failing():
                    found = _on(one, first), _on(other, second)
                same, lines = _told((one, other), first, second, found)
                differing += same is False
                skipped += same is None
                unmodelled += any(isinstance(each, Trace) and not _ran(each) for each in found)
                if everything or same is not True:
                    say(painted(lines))
    left_out = f", {skipped} could not be compared" if skipped else ""
    done = count(len(pairs) - to_do.left, "case")
    say(f"{done}: {differing} differ between {names[0]} and {names[1]}{left_out}\n")
    if to_do.left:
        complain(f"interrupted: {to_do.left} of {count(len(pairs), 'case')} were not compared")
        return Status.INTERRUPTED
    if differing:
        return Status.MISMATCH
    return Status.NOT_MODELLED if unmodelled else Status.OK


def _why_nothing(selection: Selection, scenarios: Sequence[Scenario], kernel: str | None) -> str:
    if kernel is not None and replace(selection, kernels=(kernel,)).cases(scenarios):
        return f"{NO_CASE}: nothing is expected on {kernel}"
    return nothing(scenarios, selection)


def _on(target: Target, case: ScenarioCase) -> Found:
    return target.run(case.case, case.kernel)


def _pairs(
    selection: Selection, scenarios: Sequence[Scenario], one: Target, other: Target
) -> Iterator[tuple[ScenarioCase, ScenarioCase]]:
    """Each case as both kernels have it: a clause may change what a case is."""
    if one.kernel is None and other.kernel is None:
        for case in selection.cases(scenarios):
            yield case, case
        return
    sides = [
        selection_for(target, replace(selection, kernels=())).cases(scenarios)
        for target in (one if one.kernel else other, other if other.kernel else one)
    ]
    others = {_key(case): case for case in sides[1]}
    for case in sides[0]:
        if _key(case) in others and case.expectation is not None:
            yield case, others[_key(case)]


def _key(case: ScenarioCase) -> tuple[str, str, str]:
    return case.scenario.name, case.id.partition("@")[0], case.vmm


def _ran(found: Found) -> TypeGuard[Trace]:
    return isinstance(found, Trace) and found.unmodelled is None


def _told(
    machines: tuple[Target, Target],
    first: ScenarioCase,
    second: ScenarioCase,
    found: tuple[Found, Found],
) -> tuple[bool | None, list[Line]]:
    """Whether both gave the same, None where one gave no trace, and the lines that show it."""
    from vcpu_scenario.report.pair import side_by_side
    from vcpu_scenario.report.styled import line
    from vcpu_scenario.verdict.result import guest_of
    from vcpu_scenario.verdict.traces import compare_traces

    lines: list[Line] = [line((first.id, "title"))]
    one, other = found
    if _ran(one) and _ran(other):
        names = machines[0].name, machines[1].name
        lines += side_by_side(names, one, other, guest_of(second).name, width())
        return compare_traces(one, other).same, [*lines, line()]
    lost = False
    for target, what in zip(machines, found, strict=True):
        if isinstance(what, Trace) and what.unmodelled is not None:
            lines.append(line((f"  {target.name}: {what.unmodelled}", "not-modelled")))
        if isinstance(what, Skipped | Lost):
            lost = lost or isinstance(what, Lost)
            lines.append(line((f"  {target.name}: {what.reason}", "skip")))
    return (False if lost else None), [*lines, line()]

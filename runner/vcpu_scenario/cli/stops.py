"""``scenario stops``: what each VMM tells a debugger that steps a scenario, under each kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vcpu_scenario.cli.debug import check_vmm
from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.machines import LabArguments, failing, machine, selection_for
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import Destination, destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.course import Course, End, Recorded
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.running.select import Selection
from vcpu_scenario.vmm.vmms import VMMS

if TYPE_CHECKING:
    from vcpu_scenario.analysis.stops import Table
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.running.targets import Target


def stops(
    paths: Sequence[str],
    selection: Selection,
    vmms: Sequence[str],
    form: str,
    output: str | None,
    on: str,
    lab: LabArguments,
    *,
    acted: bool = False,
) -> Status:
    """Steps each scenario through with each VMM under each kernel that it is for, whether or not it
    expects anything there. A real machine is one kernel, and a VMM that it carries tells of itself,
    unless it is to be ``acted`` as the others are."""
    for vmm in vmms:
        check_vmm(vmm)
    with destination(output) as to:
        scenarios = scenarios_of(paths)
        with machine(on, lab, selection.hosts) as target, failing():
            cases = cases_to_step(scenarios, selection_for(target, selection))
            if not cases:
                return none_selected(scenarios, selection)
            found = _stepped(cases, tuple(dict.fromkeys(vmms)) or tuple(VMMS), target, acted)
        to.write(_told(found, form, to))
        return _status(found)


def cases_to_step(scenarios: Sequence[Scenario], selection: Selection) -> list[ScenarioCase]:
    """Of each scenario the cases selected, for its first VMM alone: which one steps it is chosen
    apart."""
    return [case for each in scenarios for case in selection.wherever_meant(each)]


def _stepped(
    cases: Sequence[ScenarioCase], vmms: tuple[str, ...], target: Target, acted: bool
) -> list[Table]:
    from vcpu_scenario.analysis.stops import tables

    carried = () if acted else tuple(vmm for vmm in vmms if vmm in target.carries)
    versions: dict[str, str] = {}

    def run(case: ScenarioCase, vmm: str) -> Course:
        if vmm in carried:
            recorded = target.record(case.case, vmm)
            if isinstance(recorded, Recorded):
                versions[vmm] = recorded.version
                return recorded.course
            return Course((), End.LEFT_OUT, recorded.reason)
        found = target.step(case.case, case.kernel, vmm)
        if isinstance(found, Course):
            return found
        raise Unsupported(found.reason)

    made = tables(cases, vmms, run, target.name if target.real else "")
    return [replace(table, carried=versions) for table in made]


def _status(found: Sequence[Table]) -> Status:
    cells = (cell for table in found for row in table.rows for cell in row.cells)
    unmodelled = any(cell.end is End.NOT_MODELLED for cell in cells)
    return Status.NOT_MODELLED if unmodelled else Status.OK


def _told(found: Sequence[Table], form: str, to: Destination) -> str:
    from vcpu_scenario.report import stops as report

    if form == "json":
        return report.document(found)
    if form == "html":
        from vcpu_scenario.report.stops_html import page

        return page(found)
    return to.painted(report.text(found))

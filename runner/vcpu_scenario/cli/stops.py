"""``scenario stops``: what each VMM tells a debugger that steps a scenario, under each kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vcpu_scenario.cli.debug import check_vmm
from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.machines import LabArguments, failing, machine, selection_for
from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, destination, paint, wants_colour
from vcpu_scenario.cli.status import Status
from vcpu_scenario.course import Course
from vcpu_scenario.machine.interface import Unsupported
from vcpu_scenario.running.select import Selection
from vcpu_scenario.vmm.vmms import VMMS

if TYPE_CHECKING:
    from vcpu_scenario.analysis.stops import Table
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.running.target import Target


def stops(
    paths: Sequence[str],
    selection: Selection,
    vmms: Sequence[str],
    form: str,
    output: str | None,
    on: str,
    lab: LabArguments,
) -> Status:
    """Steps each scenario through with each VMM under each kernel that it is for, whether or not it
    expects anything there. A real machine is one kernel."""
    for vmm in vmms:
        check_vmm(vmm)
    to = destination(output)
    try:
        scenarios = scenarios_of(paths)
        if scenarios is None:
            to.discard()
            return Status.USAGE
        with machine(on, lab, selection.hosts) as target, failing():
            chosen = selection_for(target, selection)
            cases = [case for each in scenarios for case in _cases(each, chosen)]
            if not cases:
                to.discard()
                none = "no scenario (*.vcpu.yaml) was found"
                complain("no case is selected" if scenarios else none)
                return Status.NOTHING_SELECTED
            found = _stepped(cases, tuple(dict.fromkeys(vmms)) or tuple(VMMS), target)
        text = _told(found, form, to_file=output not in (None, "-"))
    except BaseException:
        to.discard()
        raise
    to.write(text)
    return _status(found)


def _cases(scenario: Scenario, selection: Selection) -> Sequence[ScenarioCase]:
    kernels = selection.kernels or scenario.audience.rows(selection.hosts)
    chosen = replace(selection, kernels=tuple(kernels), vmms=scenario.vmms[:1])
    return chosen.cases([scenario])


def _stepped(cases: Sequence[ScenarioCase], vmms: tuple[str, ...], target: Target) -> list[Table]:
    from vcpu_scenario.analysis.stops import tables

    def run(case: ScenarioCase, vmm: str) -> Course:
        found = target.step(case.case, case.kernel, vmm)
        if isinstance(found, Course):
            return found
        raise Unsupported(found.reason)

    return tables(cases, vmms, run, target.name if target.real else "")


def _status(found: Sequence[Table]) -> Status:
    from vcpu_scenario.course import End

    cells = (cell for table in found for row in table.rows for cell in row.cells)
    unmodelled = any(cell.end is End.NOT_MODELLED for cell in cells)
    return Status.NOT_MODELLED if unmodelled else Status.OK


def _told(found: Sequence[Table], form: str, *, to_file: bool) -> str:
    from vcpu_scenario.report import stops as report

    if form == "json":
        return report.document(found)
    if form == "html":
        from vcpu_scenario.report.stops_html import page

        return page(found)
    return paint(report.text(found), colour=wants_colour(COMMON.colour, to_file=to_file))

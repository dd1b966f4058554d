"""``scenario stops``: what each VMM tells a debugger that steps a scenario, under each kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vcpu_scenario.cli.debug import check_vmm
from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, destination, paint, wants_colour
from vcpu_scenario.cli.status import Status
from vcpu_scenario.running.select import Selection
from vcpu_scenario.vmm.vmms import VMMS

if TYPE_CHECKING:
    from vcpu_scenario.analysis.stops import Table
    from vcpu_scenario.language import Scenario, ScenarioCase


def stops(
    paths: Sequence[str],
    selection: Selection,
    vmms: Sequence[str],
    form: str,
    output: str | None,
) -> Status:
    """Steps each scenario through with each VMM under each kernel that it is for, whether or not it
    expects anything there. What is not modelled anywhere is the status where nothing else is
    wrong."""
    for vmm in vmms:
        check_vmm(vmm)
    to = destination(output)
    try:
        scenarios = scenarios_of(paths)
        if scenarios is None:
            to.discard()
            return Status.USAGE
        from vcpu_scenario.analysis.stops import tables

        cases = [case for each in scenarios for case in _cases(each, selection)]
        if not cases:
            to.discard()
            complain("no case is selected" if scenarios else "no scenario (*.vcpu.yaml) was found")
            return Status.NOTHING_SELECTED
        found = tables(cases, tuple(dict.fromkeys(vmms)) or tuple(VMMS))
        text = _told(found, form, to_file=output not in (None, "-"))
    except BaseException:
        to.discard()
        raise
    to.write(text)
    return _status(found)


def _cases(scenario: Scenario, selection: Selection) -> Sequence[ScenarioCase]:
    kernels = selection.kernels or scenario.audience.rows()
    chosen = replace(selection, kernels=tuple(kernels), vmms=scenario.vmms[:1])
    return chosen.cases([scenario])


def _status(found: Sequence[Table]) -> Status:
    from vcpu_scenario.vmm.stepping import End

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

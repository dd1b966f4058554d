"""``scenario history``: how a scenario's exits changed from release to release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.nothing import nothing
from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, destination, paint, wants_colour
from vcpu_scenario.cli.status import Status
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.analysis.history import History
    from vcpu_scenario.language import Scenario, ScenarioCase


def history(path: str, selection: Selection, form: str, output: str | None) -> Status:
    """Runs the cases on every kernel, and tells where neighbours part and which rules did it.

    Without ``--kernel``: on every kernel that the scenario is for, whether or not it expects
    anything there. Without ``--vmm``: with the first that the scenario names.
    """
    to = destination(output)
    try:
        scenarios = scenarios_of([path])
        if scenarios is None:
            to.discard()
            return Status.USAGE
        from vcpu_scenario.analysis.history import histories

        found = histories(case for each in scenarios for case in _cases(each, selection))
        if not found:
            to.discard()
            complain(nothing(scenarios, selection))
            return Status.NOTHING_SELECTED
        text = _told(found, form, to_file=output not in (None, "-"))
    except BaseException:
        to.discard()
        raise
    to.write(text)
    return Status.OK


def _cases(scenario: Scenario, selection: Selection) -> Sequence[ScenarioCase]:
    kernels = selection.kernels or scenario.audience.rows(selection.hosts)
    vmms = selection.vmms or scenario.vmms[:1]
    return replace(selection, kernels=tuple(kernels), vmms=tuple(vmms)).cases([scenario])


def _told(found: Sequence[History], form: str, *, to_file: bool) -> str:
    from vcpu_scenario.report import history as report

    if form == "json":
        return report.document(found)
    if form == "markdown":
        return report.markdown(found)
    return paint(report.text(found), colour=wants_colour(COMMON.colour, to_file=to_file))

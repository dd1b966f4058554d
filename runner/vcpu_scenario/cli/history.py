"""``scenario history``: how a scenario's exits changed from release to release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import Destination, destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.analysis.history import History


def history(path: str, selection: Selection, form: str, output: str | None) -> Status:
    """Runs the cases on every kernel, and tells where neighbours part and which rules did it.

    Without ``--kernel``: on every kernel that the scenario is for, whether or not it expects
    anything there. Without ``--vmm``: with the first that the scenario names.
    """
    with destination(output) as to:
        scenarios = scenarios_of([path])
        from vcpu_scenario.analysis.history import histories

        found = histories(case for each in scenarios for case in selection.wherever_meant(each))
        if not found:
            return none_selected(scenarios, selection)
        to.write(_told(found, form, to))
        return Status.OK


def _told(found: Sequence[History], form: str, to: Destination) -> str:
    from vcpu_scenario.report import history as report

    if form == "json":
        return report.document(found)
    if form == "markdown":
        return report.markdown(found)
    return to.painted(report.text(found))

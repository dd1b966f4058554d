"""``scenario check`` and ``scenario list``: what there is, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.output import complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.printable import json_text, printable
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase


def check(paths: Sequence[str]) -> Status:
    """Loads every scenario and tells what is wrong with any."""
    scenarios = scenarios_of(paths)
    if scenarios is None:
        return Status.USAGE
    if not scenarios:
        complain("no scenario (*.vcpu.yaml) was found")
        return Status.NOTHING_SELECTED
    cases = sum(len(scenario.cases()) for scenario in scenarios)
    say(f"{count(len(scenarios), 'scenario')}, {count(cases, 'case')}: no errors\n")
    return Status.OK


def list_cases(paths: Sequence[str], selection: Selection, report: str) -> Status:
    """Prints the id of every case that a run with the same arguments would run."""
    scenarios = scenarios_of(paths)
    if scenarios is None:
        return Status.USAGE
    cases = selection.cases(scenarios)
    if report == "json":
        say(json_text([_case(case) for case in cases]))
    else:
        say("".join(f"{printable(case.id)}\n" for case in cases))
    if not cases:
        complain("no case is selected" if scenarios else "no scenario (*.vcpu.yaml) was found")
        return Status.NOTHING_SELECTED
    return Status.OK


def _case(case: ScenarioCase) -> dict[str, Any]:
    return {
        "id": case.id,
        "scenario": str(case.scenario.path),
        "title": case.scenario.title,
        "tags": list(case.scenario.tags),
        "kernel": case.kernel,
        "vmm": case.vmm,
        "params": dict(case.params),
    }

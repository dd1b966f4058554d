"""``scenario import``: a trace from the field as a draft, or beside what the model gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vcpu_scenario.cli.loading import count, scenarios_of, tell
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import Destination, complain, destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable, quiet
from vcpu_scenario.kernels.release import parse_range, parse_release
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.field.records import FieldTrace
    from vcpu_scenario.language import ScenarioCase


def import_(path: str, scenario: str | None, selection: Selection, output: str | None) -> Status:
    """Writes the draft of ``path``, or tells where it and the model part on the cases selected."""
    from vcpu_scenario.field.reading import read_trace
    from vcpu_scenario.field.records import BadTrace

    with destination(output) as to:
        try:
            field = read_trace(path)
        except BadTrace as fault:
            tell([fault.diagnostic])
            return Status.USAGE
        for span, words in field.lost:
            complain(f"{printable(span.file)}:{span.line}: {words}")
        if scenario is None:
            to.write(_draft(field, path, selection))
            return Status.OK
        cases = _cases(scenario, selection)
        if not cases:
            return Status.NOTHING_SELECTED
        return _beside(field, cases, selection.kernels, to)


def _draft(field: FieldTrace, path: str, selection: Selection) -> str:
    from vcpu_scenario.authoring.formatting import formatted
    from vcpu_scenario.field.draft import draft

    if len(selection.kernels) > 1:
        raise UsageError("--kernel: name the one that the trace is of")
    kernel = next(iter(selection.kernels), None)
    selection.choice()
    name = "standard input" if path == "-" else printable(Path(path).name)
    return quiet(formatted(draft(field, name, kernel), Path(path)))


def _cases(path: str, selection: Selection) -> list[ScenarioCase]:
    scenarios = scenarios_of([path])
    found = [
        case
        for case in selection.cases(scenarios)
        if case.expectation is not None or selection.kernels
    ]
    if not found:
        none_selected(scenarios, selection)
    return found


def _beside(
    field: FieldTrace,
    cases: Sequence[ScenarioCase],
    named: Sequence[str],
    to: Destination,
) -> Status:
    from vcpu_scenario.field.beside import MOST, beside
    from vcpu_scenario.report import field as report

    if len(field.exits) > MOST:
        complain(f"only the first {MOST:,} of {count(len(field.exits), 'exit')} are compared")
    found = [beside(field, case) for case in cases]
    to.write(to.painted(report.text(field, found)))
    agreeing = {parse_release(each.case.kernel) for each in found if each.agrees}
    ranges = [parse_range(name) for name in named]
    if agreeing and all(any(map(range_.admits, agreeing)) for range_ in ranges):
        return Status.OK
    parts = any(each.mismatch or each.more for each in found)
    return Status.MISMATCH if parts else Status.NOT_MODELLED

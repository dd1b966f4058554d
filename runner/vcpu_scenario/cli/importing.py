"""``scenario import``: a trace from the field as a draft, or beside what the model gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vcpu_scenario.cli.loading import count, scenarios_of, tell
from vcpu_scenario.cli.nothing import nothing
from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, destination, paint, wants_colour
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable, quiet
from vcpu_scenario.kernels.release import parse_range, parse_release
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.field.records import FieldTrace
    from vcpu_scenario.language import ScenarioCase


Write: TypeAlias = Callable[[Iterable[str]], None]


def import_(path: str, scenario: str | None, selection: Selection, output: str | None) -> Status:
    """Writes the draft of ``path``, or tells where it and the model part on the cases selected."""
    from vcpu_scenario.field.reading import read_trace
    from vcpu_scenario.field.records import BadTrace

    to = destination(output)
    try:
        try:
            field = read_trace(path)
        except BadTrace as fault:
            tell([fault.diagnostic])
            to.discard()
            return Status.USAGE
        for span, words in field.lost:
            complain(f"{printable(span.file)}:{span.line}: {words}")
        if scenario is None:
            to.write(_draft(field, path, selection))
            return Status.OK
        cases = _cases(scenario, selection)
        if not cases:
            to.discard()
            return Status.USAGE if cases is None else Status.NOTHING_SELECTED
        to_file = output not in (None, "-")
        return _beside(field, cases, selection.kernels, to.write, to_file=to_file)
    except BaseException:
        to.discard()
        raise


def _draft(field: FieldTrace, path: str, selection: Selection) -> str:
    from vcpu_scenario.authoring.formatting import formatted
    from vcpu_scenario.field.draft import draft

    if len(selection.kernels) > 1:
        raise UsageError("--kernel: name the one that the trace is of")
    kernel = next(iter(selection.kernels), None)
    selection.choice()
    name = "standard input" if path == "-" else printable(Path(path).name)
    return quiet(formatted(draft(field, name, kernel), Path(path)))


def _cases(path: str, selection: Selection) -> list[ScenarioCase] | None:
    scenarios = scenarios_of([path])
    if scenarios is None:
        return None
    found = [
        case
        for case in selection.cases(scenarios)
        if case.expectation is not None or selection.kernels
    ]
    if not found:
        complain(nothing(scenarios, selection))
    return found


def _beside(
    field: FieldTrace,
    cases: Sequence[ScenarioCase],
    named: Sequence[str],
    write: Write,
    *,
    to_file: bool,
) -> Status:
    from vcpu_scenario.field.beside import MOST, beside
    from vcpu_scenario.report import field as report

    if len(field.exits) > MOST:
        complain(f"only the first {MOST:,} of {count(len(field.exits), 'exit')} are compared")
    found = [beside(field, case) for case in cases]
    lines = report.text(field, found)
    write(paint(list(lines), colour=wants_colour(COMMON.colour, to_file=to_file)))
    agreeing = {parse_release(each.case.kernel) for each in found if each.agrees}
    ranges = [parse_range(name) for name in named]
    if agreeing and all(any(map(range_.admits, agreeing)) for range_ in ranges):
        return Status.OK
    parts = any(each.mismatch or each.more for each in found)
    return Status.MISMATCH if parts else Status.NOT_MODELLED

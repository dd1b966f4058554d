"""``scenario explain``: the ladder of a case, rung by rung."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import complain, painted, say, width
from vcpu_scenario.cli.run import run_cases
from vcpu_scenario.cli.status import Status
from vcpu_scenario.expectation import Expectation
from vcpu_scenario.kernels.release import Release, parse_release
from vcpu_scenario.running.select import Selection
from vcpu_scenario.source import Span

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.report.styled import Line

_LEAST_WIDTH = 120
"""Three columns of text need more room than a plain report."""


def explain(path: str, selection: Selection) -> Status:
    """Runs the cases selected and prints the ladder of each.

    Without ``--kernel``: on the newest kernel for which the scenario states an expectation.
    """
    scenarios = scenarios_of([path])
    selected = selection.cases(scenarios)
    cases = selected if selection.kernels else _newest(selected)
    if not cases:
        return none_selected(scenarios, selection)
    done = run_cases([_with_expectation(case) for case in cases])
    from vcpu_scenario.analysis.later import not_yet
    from vcpu_scenario.report.ladder import ladder
    from vcpu_scenario.running.causes import causes

    lines: list[Line] = []
    for result in done.results.whole():
        case, trace, later = result.case, result.trace, None
        if trace is not None and case.case.limits.may_run_again:
            if not result.causes:
                result = replace(result, causes=causes(case.case, case.kernel))
            failed = [(one.exit, one.field) for one in result.mismatches if one.exit is not None]
            later = not_yet(case, trace, fields=failed)
        lines += [*([((("", ""),))] if lines else [])]
        lines += ladder(result, max(width(), _LEAST_WIDTH), later)
    say(painted(lines))
    if more := len({case.kernel for case in selected} - {case.kernel for case in cases}):
        complain(f"{count(more, 'more kernel')}: --kernel K shows another")
    return done.status


def _newest(cases: Sequence[ScenarioCase]) -> list[ScenarioCase]:
    """Of each scenario the cases on the newest kernel that it has any for, on each host."""
    newest: dict[str, Release] = {}
    for case in cases:
        name = case.scenario.name
        release = parse_release(case.kernel).on("")
        if release > newest.setdefault(name, release):
            newest[name] = release
    return [
        case for case in cases if parse_release(case.kernel).on("") == newest[case.scenario.name]
    ]


def _with_expectation(case: ScenarioCase) -> ScenarioCase:
    # Who asks for an explanation wants to see the run, whether or not anything is expected of it.
    if case.expectation is not None:
        return case
    start = Span(str(case.scenario.path), 1, 1, 1, 1)
    nothing = Expectation(start, about=f"The scenario expects nothing on {case.kernel}.")
    return replace(case, expectation=nothing)

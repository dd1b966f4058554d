"""The cases of a scenario, or of one of its clauses, run for whoever asks at its place."""

from __future__ import annotations

from vcpu_scenario.language.model import Scenario
from vcpu_scenario.lsp.answers import Ran
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.report.github import every_annotation
from vcpu_scenario.report.text import outcome
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import Diagnostic, Span


def ran(scenario: Scenario, line: int | None) -> Ran:
    """Runs the cases of the clause that begins at ``line``, or all where that is None."""
    cases = [
        case
        for case in scenario.cases()
        if case.expectation is not None and line in (None, case.expectation.span.line)
    ]
    results = [execute(case, create) for case in cases]
    start = Span(str(scenario.path), 1, 1, 1, 1)
    differences = tuple(
        Diagnostic(found.message, found.span or start) for found in every_annotation(results)
    )
    good = bool(results) and not any(result.verdict.is_bad for result in results)
    return Ran(outcome(results), good, differences)

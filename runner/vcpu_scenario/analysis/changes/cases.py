"""Cases on a kernel and on the model of a release."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.analysis.changes.records import Asked, Found, State
from vcpu_scenario.analysis.fuzz import Outcome, attempt
from vcpu_scenario.running.targets import Target, beyond_real_kvm
from vcpu_scenario.verdict.traces import compare_traces

_STATES: Final[dict[str, State]] = {
    "same": "same",
    "differs": "differs",
    "lost": "lost",
    "skipped": "not compared",
}


def compared(asked: Asked, real: Target, model: Target) -> Found:
    """Runs the case on both. A difference counts if it comes again: a real kernel takes
    interrupts of its host when they come."""
    if reason := asked.case.missing or beyond_real_kvm(asked.case):
        return Found(asked.group, asked.name, "not compared", reason)
    found = _attempt(asked, real, model)
    if found.state != "differs":
        return found
    again = _attempt(asked, real, model)
    if (again.state, again.kind) == (found.state, found.kind):
        return found
    reason = "differed once, and in another way or not when it ran again"
    return Found(asked.group, asked.name, "not compared", reason)


def _attempt(asked: Asked, real: Target, model: Target) -> Found:
    outcome = attempt(0, asked.case, real, model, shrink=False)
    return Found(
        asked.group,
        asked.name,
        _STATES[outcome.state],
        outcome.kind,
        _first(outcome),
        outcome.case,
        outcome.real,
        model=model.kernel or "",
    )


def _first(outcome: Outcome) -> str:
    if outcome.emulated is None or outcome.real is None:
        return outcome.kind
    differences = compare_traces(outcome.emulated, outcome.real).differences
    return differences[0].words() if differences else ""

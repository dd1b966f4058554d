"""Odd arguments of a real kernel's ioctls, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.trace import Trace

from tests.ioctls.recorded import record, recorded, without_wording
from tests.ioctls.sweep import cases

__all__ = ["ask", "differing", "record"]


def ask(lab: Lab, one_in: int = 1) -> Mapping[str, Trace]:
    """By title what came of every ``one_in``-th case, in words of no kernel."""
    found = {}
    for title, case in islice(cases().items(), 0, None, one_in):
        trace = lab.run(case)
        if not isinstance(trace, Trace):
            raise SystemExit(f"{title}: {trace.reason}")
        found[title] = without_wording(trace)
    return found


def differing(kernel: str, found: Mapping[str, Trace]) -> Iterator[str]:
    """A line for each case that is not as recorded."""
    expected = recorded().get(kernel, {})
    for title, trace in found.items():
        if trace != expected.get(title):
            yield f"{title}: not as recorded"

"""Random words of each class on the CPU of a lab, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.trace import Trace

from tests.words.recorded import recorded
from tests.words.surveys import Found, Sweep, digests


def ask(lab: Lab, sweeps: Iterable[Sweep]) -> Found:
    """By title of a sweep its digests."""
    found = {}
    for sweep in sweeps:
        trace = lab.run(sweep.case())
        if not isinstance(trace, Trace) or not trace.memory:
            raise SystemExit(f"{sweep.title}: {trace}")
        found[sweep.title] = digests(trace)
    return found


def differing(cpu: str, found: Found) -> Iterator[str]:
    """A line for each sweep that is not as recorded."""
    for title, given in found.items():
        if given != recorded()[cpu].get(title):
            yield f"{title}: not as recorded"

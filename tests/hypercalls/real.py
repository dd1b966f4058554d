"""Every function of SMCCC and PSCI of a real kernel, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.trace import Trace

from tests.hypercalls.recorded import record, recorded
from tests.hypercalls.sweep import SWEEPS, Answer, answers, calls, case

__all__ = ["ask", "differing", "record"]


def ask(lab: Lab) -> Mapping[str, Sequence[Answer]]:
    """By sweep what x0 to x3 were after each call."""
    found = {}
    for sweep in SWEEPS:
        trace = lab.run(case(sweep))
        if not isinstance(trace, Trace) or not trace.memory:
            raise SystemExit(f"{sweep.title}: {trace}")
        found[sweep.title] = answers(trace)
    return found


def differing(kernel: str, found: Mapping[str, Sequence[Answer]]) -> Iterator[str]:
    """A line for each call that is not answered as recorded."""
    expected = recorded().get(kernel, {})
    for title, given in found.items():
        if title not in expected:
            yield f"{title}: not recorded"
            continue
        for call, one, other in zip(calls(), given, expected[title], strict=True):
            if one != other:
                yield f"{title}: {call[0]:#x}({call[1]:#x}) gives {one}, not {other}"

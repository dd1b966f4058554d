"""All registers of the vGIC of a real kernel, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.trace import Trace

from tests.vgic.recorded import record, recorded
from tests.vgic.sweep import case, results, sweeps

__all__ = ["ask", "differing", "record"]


def ask(lab: Lab) -> Mapping[str, Sequence[int]]:
    """By sweep what its guest read."""
    found = {}
    for sweep in sweeps():
        result = lab.run(case(sweep))
        if not isinstance(result, Trace) or not result.memory:
            raise SystemExit(f"{sweep.name}: {result}")
        found[sweep.name] = results(result)
    return found


def differing(kernel: str, found: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """A line for each sweep that is not as recorded."""
    expected = recorded().get(kernel, {})
    for name, values in found.items():
        if values != expected.get(name):
            yield f"{name}: not as recorded"

"""All registers of the vGIC of a real kernel, beside what was recorded; on a host of which nothing
was, beside the machine as that host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vcpu_scenario.kernels.hosts import lacks_gic
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.trace import Trace

from tests.vgic.recorded import record, recorded
from tests.vgic.sweep import Sweep, case, emulated, results, sweeps

__all__ = ["ask", "differing", "record"]


def ask(lab: Lab, host: str = "") -> Mapping[str, Sequence[int]]:
    """By sweep what its guest read; those of a GIC that the host has not are named and left out."""
    found = {}
    for sweep in sweeps():
        if reason := lacks_gic(host, sweep.region.gic):
            print(f"{sweep.name}: skipped, {reason}")
            continue
        result = lab.run(case(sweep))
        if not isinstance(result, Trace) or not result.memory:
            raise SystemExit(f"{sweep.name}: {result}")
        found[sweep.name] = results(result)
    return found


def differing(kernel: str, found: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """A line for each sweep that is not as recorded, or not as the machine has it."""
    on_host = kernel not in recorded() and parse_release(kernel).host
    expected = recorded().get(kernel, {})
    for sweep in sweeps():
        if (values := found.get(sweep.name)) is None:
            continue
        if values != (_emulated(kernel, sweep) if on_host else expected.get(sweep.name)):
            yield f"{sweep.name}: not as {'the machine has it' if on_host else 'recorded'}"


def _emulated(kernel: str, sweep: Sweep) -> Sequence[int] | None:
    """None, said why, where the machine does not model what the sweep does."""
    trace = emulated(kernel, sweep)
    if trace.unmodelled is None:
        return results(trace)
    print(f"{sweep.name}: not modelled: {trace.unmodelled.what}")
    return None

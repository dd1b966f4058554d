"""Alignment checks, address sizes, FP that is off, frames, events, MP states, identities: the
emulated machine gives what real kernels gave."""

from __future__ import annotations

import pytest
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.machine.corners import corners

CPU = {"7.2": "cortex-a72"}
"""Where it was not a Cortex-A57 that was recorded."""


def every() -> list[tuple[str, str]]:
    return [(name, kernel) for name, corner in corners().items() for kernel in corner.traces]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kernel"), every())
def test_a_corner_is_as_on_the_kernel(name: str, kernel: str) -> None:
    corner = corners()[name]
    machine = create(f"{kernel}+{CPU.get(kernel, 'cortex-a57')}")
    try:
        found = run_case(machine, corner.case)
    finally:
        machine.close()
    assert without_wording(found) == without_wording(corner.traces[kernel])


def without_wording(trace: Trace) -> tuple[object, ...]:
    """All but what a refused ioctl is called: of that the errno counts."""
    ended = trace.ended.partition(":")[0]
    return trace.exits, trace.errno, ended, trace.final_regs, trace.memory, trace.unmodelled

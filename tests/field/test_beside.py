"""What of a run is in a trace of the kernel that it was on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario import load
from vcpu_scenario.field.beside import returns
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

ROOT: Final = Path(__file__).parents[2]


@pytest.mark.parametrize(("kernel", "count"), [("5.10", 3), ("6.2", 0)])
def test_a_first_run_that_is_refused_is_in_a_trace_up_to_5_16(kernel: str, count: int) -> None:
    path = ROOT / "scenarios/rules/run-again-without-a-vgic.vcpu.yaml"
    case = next(case for case in load(path).cases() if case.kernel == kernel)
    machine = create(kernel)
    try:
        trace = run_case(machine, case.case)
    finally:
        machine.close()
    assert len(list(returns(trace, kernel))) == count

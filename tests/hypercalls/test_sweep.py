"""Every function of SMCCC and PSCI, by HVC and SMC: answered as real kernels answered."""

from __future__ import annotations

import pytest
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

from tests.hypercalls.recorded import recorded
from tests.hypercalls.sweep import SWEEPS, Sweep, answers, calls, case


@pytest.mark.parametrize("kernel", sorted(recorded()))
@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.title)
def test_each_call_is_answered_as_on_the_kernel(sweep: Sweep, kernel: str) -> None:
    machine = create(kernel)
    try:
        trace = run_case(machine, case(sweep))
    finally:
        machine.close()
    assert trace.unmodelled is None
    wrong = {
        f"{function:#x}({argument:#x})": (one, other)
        for (function, argument), one, other in zip(
            calls(), answers(trace), recorded()[kernel][sweep.title], strict=True
        )
        if one != other
    }
    assert not wrong


def test_two_kernels_are_recorded() -> None:
    assert {"5.10", "7.2"} <= set(recorded())

"""A CPU that is used again carries nothing over from one case to the next."""

from __future__ import annotations

import random
from typing import Any

import pytest
from vcpu_scenario.case import Case
from vcpu_scenario.machine.emulated.cpu import pool
from vcpu_scenario.machine.emulated.cpu.regfile import IL
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.recordings.jobs import jobs
from vcpu_scenario.vmm.loop import run_case

from tests.machine.test_conformance import RECORDED

CASES = [
    (job.name, kernel, job.case)
    for name in ("core", "protocols", "gicv2")
    for job in jobs(RECORDED / f"{name}.json.xz")
    for kernel in job.traces[-1].kernels[-1:]
]


def trace_of(kernel: str, case: Case) -> dict[str, Any]:
    machine = create(kernel)
    try:
        return run_case(machine, case).to_json()
    finally:
        machine.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_cases_makes_no_difference(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_free", {})
    alone = {}
    for name, kernel, case in CASES:
        alone[name] = trace_of(kernel, case)
        pool._free.clear()  # the next case gets a new CPU
    shuffled = CASES * 2
    random.Random(seed).shuffle(shuffled)
    for name, kernel, case in shuffled:
        assert trace_of(kernel, case) == alone[name], name


def test_a_cpu_that_failed_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_free", {})
    _, kernel, case = CASES[0]
    machine = create(kernel)
    monkeypatch.setattr(machine._cpu, "enter", lambda budget: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_case(machine, case)
    machine.close()
    assert pool._free == {}


def test_a_cpu_that_is_used_again_has_no_illegal_state_to_look_for() -> None:
    machine = create("6.12")
    cpu = machine._cpu
    cpu.pstate |= IL
    assert cpu.may_be_illegal
    machine.close()
    cpu.reset()
    assert not cpu.may_be_illegal

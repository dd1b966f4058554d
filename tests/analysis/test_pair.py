"""Random programs for two vCPUs: each of both GICs, the same for each seed, and of every kind."""

from __future__ import annotations

from collections import Counter

import pytest
from vcpu_scenario.analysis.generate import PAIR, generate
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case


@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
def test_both_vcpus_run_and_take_interrupts_of_each_kind(kernel: str) -> None:
    taken = Counter[tuple[int, int, str]]()
    for seed in range(60):
        case = generate(seed, PAIR)
        assert case == generate(seed, PAIR)
        assert case.gic is not None
        machine = create(kernel)
        try:
            trace = run_case(machine, case)
        finally:
            machine.close()
        assert trace.unmodelled is None
        for exit_ in trace.exits:
            assert exit_.exit == "MMIO"
            if (intid := exit_.regs.get("x5", 1023)) < 1020:
                kind = "SGI" if intid & 0x3FF < 16 else "PPI" if intid < 32 else "SPI"
                taken[case.gic.version, exit_.fields["vcpu"], kind] += 1
    assert {(gic, vcpu) for gic, vcpu, _ in taken} == {(2, 0), (2, 1), (3, 0), (3, 1)}
    assert {kind for *_, kind in taken} == {"SGI", "PPI", "SPI"}

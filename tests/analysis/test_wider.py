"""Random programs of the wider kinds: bounded, the same for each seed, and of every kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vcpu_scenario.analysis.generate import REAL, WIDE, generate
from vcpu_scenario.analysis.generate.wider import WIDER
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Ending
from vcpu_scenario.vmm.loop import run_case


@pytest.mark.parametrize("kind", WIDER)
@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
def test_programs_of_a_kind_come_to_an_end_and_are_modelled(kind: str, kernel: str) -> None:
    profile = replace(WIDE, blocks=(kind,), length=(2, 4))
    for seed in range(6):
        case = generate(seed, profile)
        assert case == generate(seed, profile)
        machine = create(kernel)
        try:
            trace = run_case(machine, case)
        finally:
            machine.close()
        assert trace.unmodelled is None
        assert trace.exits or trace.ended is Ending.REFUSED


def test_the_programs_of_before_are_the_same() -> None:
    assert not set(WIDER) & set(REAL.blocks)

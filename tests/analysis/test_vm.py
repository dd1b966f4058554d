"""Random programs about the VM: bounded, modelled but for what is named, of every kind."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.generate import VM, generate, vm
from vcpu_scenario.case import Case
from vcpu_scenario.ioctls.attributes import GetDeviceAttr
from vcpu_scenario.ioctls.memory import GetDirtyLog, SetMemoryRegion
from vcpu_scenario.ioctls.vm import GetRegWritableMasks
from vcpu_scenario.kvm.features import PMU_V3
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import Lacking
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.vmm.loop import run_case

_LEFT_OUT = ("at EL0, which the recorded CPU does not trap", "a stage-1 table in a slot")
"""What is not modelled of what the programs do."""
_CYCLES = 1 << 31


def ran(case: Case, kernel: str) -> Trace | None:
    """What came of it; None where the kernel has not what it asks for."""
    machine = create(kernel)
    try:
        return run_case(machine, case)
    except Lacking:
        return None
    finally:
        machine.close()


@pytest.mark.parametrize("kind", vm.BLOCKS)
@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
def test_programs_of_a_kind_come_to_an_end_and_are_modelled(kind: str, kernel: str) -> None:
    profile = replace(VM, blocks=(kind,), length=(2, 4))
    for seed in range(6):
        case = generate(seed, profile)
        assert case == generate(seed, profile)
        trace = ran(case, kernel)
        if trace is None:
            continue
        if trace.unmodelled is not None:
            assert any(words in str(trace.unmodelled) for words in _LEFT_OUT)
        assert trace.exits or trace.unmodelled or trace.ended is Ending.REFUSED


@pytest.mark.slow
def test_their_vmm_does_everything_that_it_may() -> None:
    cases = [generate(seed, VM) for seed in range(150)]
    done = Counter(type(action) for case in cases for action in case.all_actions())
    assert {GetDirtyLog, GetRegWritableMasks, GetDeviceAttr, SetMemoryRegion} <= set(done)
    assert {PMU_V3 in case.features for case in cases} == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["5.10", "6.12", "7.2"])
def test_nothing_enables_the_cycle_counter_whose_count_is_the_hosts(kernel: str) -> None:
    ended = 0
    for seed in range(60):
        case = generate(seed, replace(VM, blocks=("pmu", "increments")))
        trace = ran(case, kernel)
        if trace is None or "pmcntenset_el0" not in trace.final_regs or not trace.exits:
            continue
        ended += 1
        assert not trace.final_regs["pmcntenset_el0"] & _CYCLES
    assert ended > 10

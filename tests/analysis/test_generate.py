"""Random cases: from their seed alone, over the whole language, and written as scenarios."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from msgspec.structs import replace
from vcpu_scenario import case as c
from vcpu_scenario.analysis.generate import EVERYTHING, REAL, Profile, generate
from vcpu_scenario.analysis.generate.blocks import BLOCKS
from vcpu_scenario.analysis.generate.course import ACTIONS
from vcpu_scenario.interchange.cases import case_from_json, case_to_json
from vcpu_scenario.language import loads
from vcpu_scenario.language.write import write
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.vmm.loop import run_case

SEEDS = range(400)


def digest(seeds: range) -> str:
    """Of every case of ``seeds``."""
    text = json.dumps([case_to_json(generate(seed)) for seed in seeds], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.slow
def test_a_seed_is_the_same_case_in_every_process() -> None:
    script = "from tests.analysis.test_generate import digest; print(digest(range(30)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest(range(30))
    assert digest(range(30, 60)) != digest(range(30))


@pytest.mark.slow
def test_every_kind_of_block_is_a_program_by_itself() -> None:
    for name in BLOCKS:
        profile = Profile(blocks=(name,), length=(1, 2), actions=False)
        for seed in range(5):
            case = replace(generate(seed, profile), caps=(), debug=None)
            machine = create("6.12")
            trace = run_case(machine, case)
            machine.close()
            assert trace.exits, name


@pytest.mark.slow
def test_everything_that_a_vmm_can_do_occurs() -> None:
    kinds: Counter[type] = Counter()
    for seed in SEEDS:
        case = generate(seed)
        actions = [*case.before, *(action for _, actions in case.on for action in actions)]
        kinds.update(map(type, actions))
    assert len(kinds) >= len(ACTIONS)


@pytest.mark.slow
def test_every_part_of_a_case_varies() -> None:
    cases = [generate(seed) for seed in SEEDS]
    for field in ("caps", "gic", "ioeventfds", "coalesced", "devices", "debug", "psci_0_2"):
        assert len({repr(getattr(case, field)) for case in cases}) > 1, field
    assert {case.skip_brk for case in cases} == {"without-actions", "always", "never"}
    assert len({case.slots[0].base for case in cases}) > 2
    assert any(slot.readonly for case in cases for slot in case.slots)


@pytest.mark.slow
def test_what_a_profile_leaves_out_is_left_out() -> None:
    def actions(profile: Profile) -> set[type]:
        cases = [generate(seed, profile) for seed in SEEDS]
        return {
            type(action)
            for case in cases
            for found in (case.before, *(found for _, found in case.on))
            for action in found
        }

    assert c.HostInterrupt in actions(EVERYTHING)
    assert c.HostInterrupt not in actions(REAL)
    assert actions(Profile(actions=False)) == set()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 200, 50))
def test_every_case_can_be_written_and_read_again(first: int) -> None:
    for seed in range(first, first + 50):
        case = generate(seed)
        assert case_from_json(case_to_json(case)) == case
        text = write(case, title=f"seed {seed}", tags=["random"])
        (found,) = loads(text, "written.vcpu.yaml").cases(["6.12"])
        assert found.case == replace(case, reads_irq_level=False, peek=(), final_regs=())
        assert found.scenario.title == f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["4.14", "5.10", "6.12", "7.3"])
def test_a_trace_becomes_an_expectation_that_the_case_meets(kernel: str) -> None:
    written = 0
    for seed in range(60):
        case = generate(seed)
        machine = create(kernel)
        trace = run_case(machine, case)
        machine.close()
        if trace.refused:
            continue  # what the VMM may not do at an exit is no exit
        text = write(case, title=f"seed {seed}", kernel=kernel, trace=trace)
        (found,) = loads(text, "written.vcpu.yaml").cases([kernel])
        result = execute(found, create)
        assert (result.verdict, result.mismatches) == ("pass", ()), seed
        if trace.error is None:
            assert found.case == replace(case, on=found.case.on)
            assert set(found.case.on) <= set(case.on)
        written += 1
    assert written > 40

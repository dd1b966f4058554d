"""What a program writes of a case and of its run is read as it was, and passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.language.loader import load, loads
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.language.write import write
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import judged
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.vmm.loop import run_case

KERNEL = "6.12"
FOLDER = Path(__file__).parents[2] / "scenarios"
SHIPPED = [
    "hypercalls/smccc-filter",
    "hypercalls/stolen-time",
    "kvm-run/a-signal-is-pending",
    "kvm-run/vcpu-init-again",
    "memory/dirty-log",
    "memory/slots-changed",
    "vcpus/what-they-share",
    "vmm-registers/reg-list",
]
SMALL = "title: t\nguest: {words: [0xd4200000]}\ndebug: {software_breakpoints: true}\n"
"""A BRK."""


def first(text: str) -> ScenarioCase:
    return next(iter(loads(text, Path("made.vcpu.yaml")).cases([KERNEL])))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_run_is_written_as_what_it_was(name: str) -> None:
    case = next(iter(load(FOLDER / f"{name}.vcpu.yaml").cases([KERNEL])))
    trace = run_case(create(KERNEL), case.case)
    again = first(write(case.case, title="t", kernel=KERNEL, trace=trace))
    assert judged(again, run_case(create(KERNEL), again.case)).mismatches == ()


def test_one_vcpu_alone_takes_no_turns() -> None:
    with pytest.raises(InvalidScenario) as refused:
        first(f"{SMALL}quantum: 1000\n")
    (fault,) = refused.value.diagnostics
    assert (fault.message, fault.span.line) == ("one vCPU takes no turns", 4)


def test_the_number_of_vcpus_that_take_turns_may_be_one() -> None:
    assert first(f"{SMALL}vcpus: 1\nquantum: 1000\n").case.quantum == 1000


def test_turns_are_written() -> None:
    case = first(f"{SMALL}vcpus: 2\nquantum: 1000\n").case
    text = write(case, title="t")
    assert "\nvcpus: 2\nquantum: 1000\n" in text


def test_an_errno_without_a_name_is_its_number() -> None:
    case = first(f"{SMALL}before:\n  - mp_state: suspended\n    errno: 999\n").case
    assert first(write(case, title="t")).case == case


@pytest.mark.parametrize("vcpu", ["", ", vcpu: 0"])
def test_the_exits_of_one_vcpu_alone_are_of_vcpu_0(vcpu: str) -> None:
    case = first(f"{SMALL}expect:\n  - exits: [debug: {{brk: 0x40000000{vcpu}}}]\n")
    assert judged(case, run_case(create(KERNEL), case.case)).mismatches == ()

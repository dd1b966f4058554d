"""vCPUs that are on run in turn, by instructions or, where a machine counts none, by time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import judged
from vcpu_scenario.trace import Ending
from vcpu_scenario.vmm.loop import TURN, run_case

PATH = Path(__file__).parents[2] / "scenarios/vcpus/turns.vcpu.yaml"


class Timed:
    """A machine that is bounded by seconds alone, in which it runs a hundred instructions."""

    counts_instructions = False

    def __init__(self) -> None:
        self._machine = create("6.12")
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def kvm_run(self, *, instructions: int, seconds: float, turn: float | None = None) -> int:
        self.seconds.append(seconds)
        return self._machine.kvm_run(instructions=100, seconds=seconds, turn=turn)


def case(text: str) -> ScenarioCase:
    return next(iter(loads(text, PATH).cases(["6.12"])))


def test_where_no_instructions_are_counted_a_turn_is_a_time() -> None:
    machine, turns = Timed(), case(PATH.read_text())
    assert judged(turns, run_case(machine, turns.case)).mismatches == ()
    assert len(machine.seconds) > 2
    assert set(machine.seconds) == {TURN}


def test_turns_end_with_the_seconds_of_the_limit() -> None:
    machine, turns = Timed(), case(PATH.read_text().replace("b.eq off", "b.eq wait")).case
    limits = replace(turns.limits, seconds=3 * TURN)
    trace = run_case(machine, replace(turns, limits=limits))
    assert trace.ended is Ending.INTERRUPTED
    assert abs(sum(machine.seconds) - limits.seconds) < TURN


def test_an_exit_of_any_vcpu_is_that_of_another_than_the_first_too() -> None:
    text = PATH.read_text().replace("b.eq off", "mrs x0, mpidr_el1; tbnz x0, #0, off")
    trace = run_case(create("6.12"), case(text).case)
    assert trace.exits[-1].fields["vcpu"] == 1
    assert "vcpu" not in [found.field for found in judged(case(text), trace).mismatches]
    first = case(text.replace(", vcpu: any", ""))
    assert "vcpu" in [found.field for found in judged(first, trace).mismatches]

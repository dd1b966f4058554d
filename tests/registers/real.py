"""All of a vCPU's registers on a real kernel, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.survey import Answer, Answers, Ask

from tests.registers.onereg import SITUATIONS, Situation
from tests.registers.recorded import record, recorded
from tests.registers.surveys import Found, differences, survey

__all__ = ["ask", "differing", "record"]


def ask(lab: Lab, situations: Iterable[Situation] = SITUATIONS) -> Mapping[str, Found]:
    """By situation what the lab's kernel answers."""

    def answers(situation: Situation, asks: tuple[Ask, ...]) -> tuple[Answer, ...]:
        given = lab.ask(situation.survey(asks))
        if not isinstance(given, Answers):
            raise SystemExit(f"{situation.name}: {given.reason}")
        return given.given

    return {situation.name: survey(situation, answers) for situation in situations}


def differing(kernel: str, found: Mapping[str, Found]) -> Iterator[str]:
    """A line for each register that is not as recorded."""
    expected = recorded().get(kernel, {})
    for name, rows in found.items():
        for line in differences(rows, expected.get(name, {})):
            yield f"{name}: {line}"

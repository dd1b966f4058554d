"""``python -m tests.registers --lab 6.12``: asks a real kernel for all of a vCPU's registers.

What it answers is compared with what was recorded, or kept with ``--record``. Ends with status 1
where there is a difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.survey import Answer, Answers, Ask

from tests.registers.onereg import SITUATIONS, Situation
from tests.registers.recorded import record, recorded
from tests.registers.surveys import Found, differences, survey


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.registers", description=__doc__)
    parser.add_argument("--lab", required=True, metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--cpu", default="cortex-a57", help="QEMU's name of the CPU")
    parser.add_argument("--record", action="store_true", help="keep what the kernel answers")
    given = parser.parse_args()
    with Lab(given.lab, LabOptions(cpu=given.cpu)) as lab:
        found = surveyed(lab)
    if given.record:
        record(given.lab, found)
        return 0
    return _compare(found, recorded().get(given.lab, {}))


def surveyed(lab: Lab) -> Mapping[str, Found]:
    """By situation what the lab's kernel answers."""

    def ask(situation: Situation, asks: tuple[Ask, ...]) -> tuple[Answer, ...]:
        answers = lab.ask(situation.survey(asks))
        if not isinstance(answers, Answers):
            raise SystemExit(f"{situation.name}: {answers.reason}")
        return answers.given

    return {situation.name: survey(situation, ask) for situation in SITUATIONS}


def _compare(found: Mapping[str, Found], expected: Mapping[str, Found]) -> int:
    differing = 0
    for name, rows in found.items():
        for line in differences(rows, expected.get(name, {})):
            print(f"{name}: {line}")
            differing += 1
    print(f"{sum(map(len, found.values()))} registers, {differing} differences")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

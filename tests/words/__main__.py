"""``python -m tests.words``: random words of each class on the emulated machine.

With ``--lab 6.12`` each word that the emulated machine runs otherwise than that kernel's CPU is
shown; without, the emulated machine is compared with what was recorded. Ends with status 1 where
there is a difference. What was recorded is made by ``python -m tests.sweeps --record``.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.trace import Trace

from tests.words.real import differing as differing_from_recorded
from tests.words.surveys import FULLY, Sweep, digests, emulated, sweeps
from tests.words.sweep import data, outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.words", description=__doc__)
    parser.add_argument("--lab", metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--cpu", default="cortex-a57", help="QEMU's name of the CPU")
    parser.add_argument("--runs", type=int, default=FULLY, help="runs of 4,000 words of each class")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N sweeps")
    given = parser.parse_args()
    differing = 0
    every = islice(sweeps(given.runs), given.first)
    if given.lab is None:
        lines = list(
            differing_from_recorded(given.cpu, {s.title: digests(emulated(s)) for s in every})
        )
        print(*lines, sep="\n")
        return 1 if lines else 0
    with Lab(given.lab, LabOptions(cpu=given.cpu)) as lab:
        for sweep in every:
            trace = lab.run(sweep.case())
            if not isinstance(trace, Trace) or not trace.memory:
                raise SystemExit(f"{sweep.title}: {trace}")
            differing += _beside(sweep, trace)
    print(f"{differing} differences")
    return 1 if differing else 0


def _beside(sweep: Sweep, real: Trace) -> int:
    """Prints the words of which the emulated machine makes something else, and counts them."""
    found = emulated(sweep)
    if found.unmodelled is not None or not found.memory:
        print(f"{sweep.title}: {found.unmodelled or found.ended}")
        return 1
    differing = 0
    rows = zip(sweep.words, outcomes(found), outcomes(real), strict=True)
    for number, (word, one, other) in enumerate(rows):
        if one != other:
            shown = [" ".join(f"{value:x}" for value in row) for row in (one, other)]
            print(f"{sweep.title}: {number}: {word:08x}: {shown[0]}, not {shown[1]}")
            differing += 1
    if data(found) != data(real):
        print(f"{sweep.title}: the memory differs")
        differing += 1
    return differing


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.words --lab 6.12``: runs random words of each class on a real kernel.

What came of them is compared with what was recorded, or kept with ``--record``, and with
``--against-machine`` word by word with what the emulated machine gives. Without ``--lab`` the
emulated machine is compared with what was recorded. Ends with status 1 where there is a difference.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from itertools import islice

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.trace import Trace

from tests.words.recorded import record, recorded
from tests.words.surveys import FULLY, Sweep, digests, emulated, sweeps
from tests.words.sweep import data, outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.words", description=__doc__)
    parser.add_argument("--lab", metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--cpu", default="cortex-a57", help="QEMU's name of the CPU")
    parser.add_argument("--runs", type=int, default=FULLY, help="runs of 4,000 words of each class")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N sweeps")
    parser.add_argument("--record", action="store_true", help="keep what the kernel gives")
    parser.add_argument("--against-machine", action="store_true", help="compare word by word")
    given = parser.parse_args()
    differing = 0
    found: dict[str, list[str]] = {}
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(given.lab, LabOptions(cpu=given.cpu))) if given.lab else None
        for sweep in islice(sweeps(given.runs), given.first):
            trace = emulated(sweep) if lab is None else lab.run(sweep.case())
            if not isinstance(trace, Trace) or not trace.memory:
                raise SystemExit(f"{sweep.title}: {trace}")
            found[sweep.title] = digests(trace)
            if given.against_machine:
                differing += _beside(sweep, trace)
            elif not given.record and found[sweep.title] != recorded()[given.cpu].get(sweep.title):
                print(f"{sweep.title}: not as recorded")
                differing += 1
    if given.record:
        record(given.cpu, found)
    print(f"{len(found)} sweeps, {differing} differences")
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

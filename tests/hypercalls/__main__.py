"""``python -m tests.hypercalls --lab 6.12``: calls every function of SMCCC and PSCI of a kernel.

What it answers is compared with what was recorded, or kept with ``--record``. Ends with status 1
where there is a difference.
"""

from __future__ import annotations

import argparse
import sys

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.trace import Trace

from tests.hypercalls.recorded import record, recorded
from tests.hypercalls.sweep import SWEEPS, answers, calls, case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hypercalls", description=__doc__)
    parser.add_argument("--lab", required=True, metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--cpu", default="cortex-a57", help="QEMU's name of the CPU")
    parser.add_argument("--record", action="store_true", help="keep what the kernel answers")
    given = parser.parse_args()
    found = {}
    with Lab(given.lab, LabOptions(cpu=given.cpu)) as lab:
        for sweep in SWEEPS:
            trace = lab.run(case(sweep))
            if not isinstance(trace, Trace) or not trace.memory:
                raise SystemExit(f"{sweep.title}: {trace}")
            found[sweep.title] = answers(trace)
    if given.record:
        record(given.lab, found)
        return 0
    differing = 0
    for title, given_ in found.items():
        expected = recorded().get(given.lab, {}).get(title, ())
        for call, one, other in zip(calls(), given_, expected, strict=True):
            if one != other:
                print(f"{title}: {call[0]:#x}({call[1]:#x}) gives {one}, not {other}")
                differing += 1
    print(f"{len(found)} sweeps, {differing} differences")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

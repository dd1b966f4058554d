"""``python -m tests.vgic --lab 6.12``: goes over all registers of the vGIC of a real kernel.

What it gives is compared with what was recorded, or kept with ``--record``. Ends with status 1
where there is a difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.trace import Trace

from tests.vgic.recorded import record, recorded
from tests.vgic.sweep import case, results, sweeps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vgic", description=__doc__)
    parser.add_argument("--lab", required=True, metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--cpu", default="cortex-a57", help="QEMU's name of the CPU")
    parser.add_argument("--record", action="store_true", help="keep what the kernel gives")
    given = parser.parse_args()
    with Lab(given.lab, LabOptions(cpu=given.cpu)) as lab:
        found = swept(lab)
    if given.record:
        record(given.lab, found)
        return 0
    expected = recorded().get(given.lab, {})
    differing = [name for name, values in found.items() if values != expected.get(name)]
    for name in differing:
        print(f"{name}: not as recorded")
    print(f"{len(found)} sweeps, {len(differing)} differ")
    return 1 if differing else 0


def swept(lab: Lab) -> Mapping[str, Sequence[int]]:
    """By sweep what its guest read."""
    found = {}
    for sweep in sweeps():
        result = lab.run(case(sweep))
        if not isinstance(result, Trace) or not result.memory:
            raise SystemExit(f"{sweep.name}: {result}")
        found[sweep.name] = results(result)
    return found


if __name__ == "__main__":
    sys.exit(main())

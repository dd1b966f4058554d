"""``python -m tests.recorded --cpu cortex-a76 5.10 6.12``: the recorded jobs on another CPU.

Every job of ``tests/recorded/*.json.xz`` runs on each of these kernels in a lab with that CPU.
What they give is kept in ``tests/recorded/CPU/``, under the names of the files that it is from.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from pathlib import Path
from typing import Any

from vcpu_scenario.host.printable import json_text
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.recordings.format import entries
from vcpu_scenario.recordings.jobs import case_of
from vcpu_scenario.running.targets import InLab
from vcpu_scenario.trace import Trace

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.recorded", description=__doc__)
    parser.add_argument("--cpu", required=True, help="QEMU's name of the CPU")
    parser.add_argument("kernels", nargs="+", metavar="KERNEL", help="kernel to ask (6.12)")
    given = parser.parse_args()
    folder = HERE / given.cpu
    folder.mkdir(exist_ok=True)
    missing = 0
    for kernel in given.kernels:
        with InLab(kernel, LabOptions(cpu=given.cpu)) as lab:
            for path in sorted(HERE.glob("*.json.xz")):
                missing += _record(lab, kernel, path, folder / path.name, given.cpu)
    return 1 if missing else 0


def _record(lab: InLab, kernel: str, jobs: Path, kept: Path, cpu: str) -> int:
    """Adds what ``kernel`` gives to ``kept``; how many jobs gave nothing."""
    missing = 0
    known = {one["job"]["name"]: one for one in entries(kept)} if kept.exists() else {}
    document: list[dict[str, Any]] = []
    for one in entries(jobs):
        job = {**one["job"], "cpu": cpu}
        traces = [dict(trace) for trace in known.get(job["name"], {"traces": []})["traces"]]
        found = lab.run(case_of(job), kernel)
        if isinstance(found, Trace):
            traces = _with(traces, kernel, found.to_json())
        else:
            print(f"{job['name']} on {kernel}: {found.reason}", file=sys.stderr)
            missing += 1
        document.append({"job": job, "traces": traces})
    kept.write_bytes(lzma.compress(json_text(document).encode(), preset=9 | lzma.PRESET_EXTREME))
    return missing


def _with(traces: list[dict[str, Any]], kernel: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """``traces`` with what ``kernel`` gave, each distinct one once."""
    left = []
    for trace in traces:
        others = [name for name in trace["kernels"] if name != kernel]
        if others:
            left.append({**trace, "kernels": others})
    for trace in left:
        if {**trace, "kernels": None} == {**found, "kernels": None}:
            trace["kernels"].append(kernel)
            return left
    return [*left, {"kernels": [kernel], **found}]


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.export --lab 6.12``: every shipped scenario as a C program, on a real kernel.

Each is compiled without a warning, and passes there, or is skipped where nothing is expected of
that kernel. Ends with status 1 where one does not. ``--lab`` may be given several times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.subject import Subject
from vcpu_scenario.machine.real.lab import Ended, Lab, Program

from .conftest import COMPILER, SHIPPED, compiled, shipped

_WORDS = {0: "passed", 4: "skipped"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.export", description=__doc__)
    parser.add_argument("--lab", required=True, action="append", metavar="KERNEL")
    parser.add_argument("--compiler", default=COMPILER, help=f"by default {COMPILER}")
    given = parser.parse_args()
    made = list(_programs(given.compiler))
    return max(_run(kernel, made) for kernel in given.lab)


def _programs(compiler: str) -> Sequence[tuple[Subject, Program]]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for subject in (subject for path in SHIPPED for subject in shipped(path)):
            try:
                data = compiled(subject, compiler, Path(folder))
            except Unexportable as refusal:
                print(f"{subject.name}: cannot be exported: {refusal.what}")
                continue
            made.append((subject, Program(subject.name, data)))
    return made


def _run(kernel: str, made: Sequence[tuple[Subject, Program]]) -> int:
    became: Counter[str] = Counter()
    with Lab(kernel) as lab:
        for subject, program in made:
            gic = subject.combination.case.gic
            ended = lab.execute(program, gic.version if gic is not None else 3)
            words = _WORDS.get(ended.status, "failed") if isinstance(ended, Ended) else "lost"
            became[words] += 1
            if words in ("failed", "lost"):
                said = ended.output if isinstance(ended, Ended) else ended.reason
                print(f"{subject.name}: {words}\n{said}")
    counted = ", ".join(f"{count} {words}" for words, count in became.items())
    print(f"lab:{kernel}: {len(made)} programs: {counted}")
    return int(bool(became["failed"] + became["lost"]))


if __name__ == "__main__":
    sys.exit(main())

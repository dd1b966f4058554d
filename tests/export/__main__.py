"""``python -m tests.export --lab 6.12``: every shipped scenario as a C program, on a real kernel.

Each is compiled without a warning, and passes there, or is skipped where nothing is expected of
that kernel. Some are built by the kernel's own Makefile as selftests too, of which one must fail up
to 5.10. Ends with status 1 where one does not. ``--lab`` may be given several times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vcpu_scenario.arm64.cpumodels import CORTEX_A57
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.subject import Subject, subjects
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.language import load
from vcpu_scenario.machine.real.lab import (
    Ended,
    Lab,
    LabError,
    LabOptions,
    Program,
    gic_for,
)

from .conftest import COMPILER, ROOT, SHIPPED, compiled, shipped
from .kernelsource import built

_WORDS = {0: "passed", 4: "skipped"}
_SELFTESTS = (
    "single-step/access-handled-by-userspace",
    "thread/qemu-adjacent-user-mmio",
    "in-kernel/coalesced-writes-stepped",
    "in-kernel/ioeventfd-takes-only-its-value",
    "hypercalls/psci-version",
    "watchpoints/address-of-the-access",
    "rules/id-gic-written-0",
    "rules/psci-system-suspend",
    "snapshots/without-a-vgic",
    "mmio/cfi-flash",
    "vcpus/turns",
)
_FAULT = ROOT / "docs" / "mail" / "skipped-step.vcpu.yaml"
"""What 5.11 mended."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.export", description=__doc__)
    parser.add_argument("--lab", required=True, action="append", metavar="KERNEL")
    parser.add_argument("--compiler", default=COMPILER, help=f"by default {COMPILER}")
    given = parser.parse_args()
    made = list(_programs(given.compiler))
    tests = _selftests()
    return max(_run(kernel, made, tests) for kernel in given.lab)


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


def _selftests() -> Sequence[Program]:
    """As the kernel's tree builds them; the last one is of the fault."""
    chosen = [shipped(ROOT / "scenarios" / f"{name}.vcpu.yaml")[0] for name in _SELFTESTS]
    chosen += subjects(load(_FAULT), ["7.2"])
    with tempfile.TemporaryDirectory() as folder:
        try:
            tests = built(chosen, Path(folder))
        except LabError as error:
            print(f"!! NOT TESTED HERE: selftests within the kernel's tree: {error}")
            return ()
    return [Program(subject.name, test) for subject, test in zip(chosen, tests, strict=True)]


def _run_selftests(lab: Lab, kernel: str, tests: Sequence[Program]) -> int:
    faulty = parse_release(kernel) < parse_release("5.11")
    wrong = 0
    for test in tests:
        expected = int(faulty and test is tests[-1])
        ended = lab.execute(test)
        if not isinstance(ended, Ended) or ended.status != expected:
            wrong += 1
            print(f"{test.name} as a selftest: status {expected} was expected: {ended}")
    print(f"lab:{kernel}: {len(tests)} selftests, {wrong} not as expected")
    return wrong


def _word(lab: Lab, subject: Subject, program: Program) -> str:
    """How it ended."""
    ended = lab.execute(program, gic_for(subject.combination.case))
    word = _WORDS.get(ended.status, "failed") if isinstance(ended, Ended) else "lost"
    if word in ("failed", "lost"):
        said = ended.output if isinstance(ended, Ended) else ended.reason
        print(f"{subject.name}: {word}\n{said}")
    return word


def _run(kernel: str, made: Sequence[tuple[Subject, Program]], tests: Sequence[Program]) -> int:
    became: Counter[str] = Counter()
    wrong = 0
    by_cpu: dict[str, list[tuple[Subject, Program]]] = {CORTEX_A57.name: []}
    for subject, program in made:
        by_cpu.setdefault((subject.cpu or CORTEX_A57).name, []).append((subject, program))
    for cpu, programs in by_cpu.items():
        with Lab(kernel, LabOptions(cpu=cpu)) as lab:
            for subject, program in programs:
                became[_word(lab, subject, program)] += 1
            if cpu == CORTEX_A57.name:
                wrong = _run_selftests(lab, kernel, tests)
    counted = ", ".join(f"{count} {words}" for words, count in became.items())
    print(f"lab:{kernel}: {len(made)} programs: {counted}")
    return int(bool(became["failed"] + became["lost"] + wrong))


if __name__ == "__main__":
    sys.exit(main())

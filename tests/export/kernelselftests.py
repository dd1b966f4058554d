"""``python -m tests.export.kernelselftests --lab 6.12``: the kernel's own selftests beside the
scenarios that docs/selftests.md names for them, both on a real kernel.

Prints a table: the selftest, how it ended, and what its scenarios say. The tests are those of the
source that Debian packages; without names, all of the table that are in it. Ends with status 1
where a test passes and a scenario of it does not.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from vcpu_scenario.machine.real.lab import Ended, Lab, Program

from .conftest import ROOT
from .kernelsource import of_the_kernel

_ROW = re.compile(r"^\| `(?P<test>[\w-]+)` \| (?:all|part|skips) \| (?P<scenarios>.*) \|$", re.M)
_LINK = re.compile(r"\]\(\.\./(scenarios/[\w./-]+)\)")
_WORDS = {0: "ok", 4: "ok # SKIP"}
_SECONDS = 300.0
_NAMED = "/programs/program"
"""A selftest opens the file that it was started as, to load its guest: where a lab's program is."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.export.kernelselftests")
    parser.add_argument("--lab", required=True, metavar="KERNEL")
    parser.add_argument("tests", nargs="*", help="by default all that there are")
    given = parser.parse_args()
    known = table()
    with tempfile.TemporaryDirectory() as folder:
        programs = of_the_kernel(given.tests or list(known), Path(folder))
    said = _scenarios(given.lab, sorted({path for name in programs for path in known[name]}))
    wrong = 0
    with Lab(given.lab) as lab:
        for name, data in programs.items():
            ended = lab.execute(Program(_NAMED, data, seconds=_SECONDS))
            word = "lost"
            if isinstance(ended, Ended):
                word = _WORDS.get(ended.status, f"not ok, status {ended.status}")
            cases = sum((said[path] for path in known[name]), Counter[str]())
            bad = sum(count for verdict, count in cases.items() if verdict not in ("pass", "skip"))
            wrong += word == "ok" and bool(bad or not cases)
            counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(cases.items()))
            counted = counted or "nothing expected of this kernel"
            print(f"{name:24} | {word:24} | {counted}", flush=True)
            if word not in _WORDS.values() and isinstance(ended, Ended):
                print("    " + "\n    ".join(failure(ended.output)))
    return int(wrong > 0)


def failure(output: str) -> Sequence[str]:
    """The lines that say what failed."""
    lines = output.splitlines()
    said = [number for number, line in enumerate(lines) if line.startswith(("not ok", "===="))]
    return lines[said[0] if said else -1 :][:8]


def table() -> Mapping[str, Sequence[str]]:
    """The scenarios of each selftest that has some."""
    text = (ROOT / "docs" / "selftests.md").read_text()
    return {row["test"]: _LINK.findall(row["scenarios"]) for row in _ROW.finditer(text)}


def _scenarios(kernel: str, paths: Sequence[str]) -> Mapping[str, Counter[str]]:
    """How many cases of each have which verdict."""
    command = [sys.executable, "-m", "vcpu_scenario", "run", *paths, "--machine", f"lab:{kernel}"]
    done = subprocess.run(
        [*command, "--format", "json"], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
    )
    said: dict[str, Counter[str]] = {path: Counter() for path in paths}
    for case in json.loads(done.stdout)["cases"]:
        said[case["scenario"]][case["verdict"]] += 1
    return said


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.fuzz machine --count 300000``: runs inputs by seed and keeps what they find.

Each input runs in a process that may die. A finding is written to ``--findings`` as the input and a
text that says what it did; ``tests/fuzz/findings`` holds those that were mended, as tests.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from vcpu_scenario.running.pool import Lost, Stop, results

from tests.fuzz.finding import Finding
from tests.fuzz.targets import TARGETS

_PATIENCE: Final = 120.0
_EVERY: Final = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    options = parser.parse_args()
    found = fuzz(
        options.target,
        options.seed,
        options.count,
        options.jobs,
        lambda seed, what: _keep(options.findings, options.target, seed, what),
    )
    return 1 if found else 0


def fuzz(
    name: str, first: int, count: int, jobs: int, report: Callable[[int, str], None]
) -> dict[int, str]:
    """Runs the inputs of ``count`` seeds from ``first`` on; returns what was found by seed."""
    target = TARGETS[name]()

    def work(number: int) -> tuple[str, str]:
        try:
            return target.run(first + number), ""
        except Finding as finding:
            return "finding", str(finding)

    done = results(work, count, jobs, stop=Stop(), patience=lambda number: _PATIENCE)
    try:
        return _gather(done, name, first, count, report)
    finally:
        done.close()
        target.close()


def _gather(
    done: Iterator[tuple[int, tuple[str, str] | Lost]],
    name: str,
    first: int,
    count: int,
    report: Callable[[int, str], None],
) -> dict[int, str]:
    found: dict[int, str] = {}
    words: Counter[str] = Counter()
    start = monotonic()
    for number, result in done:
        if isinstance(result, Lost):
            word, what = "finding", f"{result.reason}\n{result.detail}"
        else:
            word, what = result
        words[word] += 1
        if word == "finding":
            found[first + number] = what
            report(first + number, what)
        if (number + 1) % _EVERY == 0 or number + 1 == count:
            rate = (number + 1) / (monotonic() - start)
            told = ", ".join(f"{times} {word}" for word, times in words.most_common())
            print(f"{name} {first}+{number + 1}: {told}; {rate:.0f}/s", flush=True)
    return found


def _keep(folder: Path, name: str, seed: int, what: str) -> None:
    print(f"{name} {seed}: {what.splitlines()[0]}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    target = TARGETS[name]()
    suffix, data = target.artefact(seed)
    target.close()
    (folder / f"{name}-{seed}{suffix}").write_bytes(data)
    (folder / f"{name}-{seed}.txt").write_text(what)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m benchmarks.loading [COUNT...]``: what loading many scenarios costs.

So many files are made of the scenarios that ship, each with registers of its own and with its
kept words. The floor is a plain ``yaml.load`` of the same files with PyYAML's CSafeLoader, in a
process of its own and in the same run. Each round measures the floor and every command in turn, so
that a machine that slows down slows all of them down.

Time is the ratio of what passed and, in brackets, of the processors' time: commands work in
several processes. Memory is the largest that any one process of a command became.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import rmtree
from statistics import median
from time import perf_counter
from typing import NamedTuple

from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.authoring.formatting import formatted

COUNTS = (1_000, 10_000)
ROUNDS = 3
KERNEL = "6.12"
SCENARIOS = Path(__file__).parents[1] / "scenarios"
FLOOR = """\
import sys
from pathlib import Path
import yaml
for path in sorted(Path(sys.argv[1]).rglob("*.vcpu.yaml")):
    yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
"""
COMMANDS = {
    "list": ("list",),
    "check": ("check",),
    "fmt --check": ("fmt", "--check"),
}
HTML = ("run", "--kernel", KERNEL, "--format", "html", "--output", os.devnull)
_PLACE = "x27: 0x5eed_5eed"
"""Hardly a shipped guest uses x27, so a scenario in which it has some value ends as it did."""


class Cost(NamedTuple):
    seconds: float
    processor: float
    megabytes: float


class Template(NamedTuple):
    """A shipped scenario, and the words that are kept for it."""

    name: str
    text: str
    words: bytes | None


def templates() -> Iterator[Template]:
    for path in sorted(SCENARIOS.rglob("*.vcpu.yaml")):
        text = path.read_text(encoding="utf-8")
        if "\n  elf: " in text or "x27" in text:
            continue  # its program lies beside it, or it uses the register itself
        words = words_path(path)
        yield Template(
            path.name,
            formatted(_with_a_place(text), path),
            words.read_bytes() if words.is_file() else None,
        )


def _with_a_place(text: str) -> str:
    if "\n  regs: {" not in text:
        text = text.replace("\nguest:\n", "\nguest:\n  regs: {}\n", 1)
    text = text.replace("\n  regs: {", f"\n  regs: {{{_PLACE}, ", 1).replace(
        f"{_PLACE}, }}", f"{_PLACE}}}"
    )
    if "vcpu_init" in text or "\nvcpus: " in text:
        return text  # x27 is reset, or has no value in a vCPU but the first
    return re.sub(r"(?<!\n ) regs: \{", f" regs: {{{_PLACE}, ", text)


def write(folder: Path, count: int) -> None:
    """Makes ``count`` scenarios, a hundred to a folder."""
    made = list(templates())
    for number in range(count):
        template = made[number % len(made)]
        here = folder / f"{number // 100:04}"
        here.mkdir(exist_ok=True)
        path = here / f"{number:06}-{template.name}"
        high, low = divmod(number * 2_654_435_761 % (1 << 32), 1 << 16)
        path.write_text(template.text.replace(_PLACE, f"x27: 0x{high:04x}_{low:04x}"))
        if template.words is not None:
            words_path(path).write_bytes(template.words)


def cost(command: Sequence[str], folder: Path) -> Cost:
    """What ``command``, started in ``folder``, costs with all that it starts."""
    start = perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = perf_counter() - start
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def scenario(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vcpu_scenario", *arguments, "."]


def measure(count: int, folder: Path) -> None:
    write(folder, count)
    floor = [sys.executable, "-c", FLOOR, "."]
    cost(floor, folder)
    rounds = [
        {
            "floor": cost(floor, folder),
            **{name: cost(scenario(*words), folder) for name, words in COMMANDS.items()},
        }
        for _ in range(ROUNDS)
    ]
    report = cost(scenario(*HTML), folder)
    print(f"{count:,} scenarios, median of {ROUNDS} rounds")
    print(f"{'':14}{'s':>8}{'ratio (CPU)':>16}{'MB':>8}")
    for name in rounds[0]:
        took = median(each[name].seconds for each in rounds)
        wall = median(each[name].seconds / each["floor"].seconds for each in rounds)
        cpu = median(each[name].processor / each["floor"].processor for each in rounds)
        most = max(each[name].megabytes for each in rounds)
        print(f"{name:14}{took:8.2f}{wall:9.2f} ({cpu:.2f}){most:8.0f}")
    print(f"{'run, HTML':14}{report.seconds:8.2f}{'':16}{report.megabytes:8.0f}", flush=True)


def main(counts: Sequence[int]) -> None:
    for count in counts:
        folder = Path(tempfile.mkdtemp(prefix="loading-"))
        try:
            measure(count, folder)
        finally:
            rmtree(folder)


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or COUNTS)

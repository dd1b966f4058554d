"""``python -m benchmarks.editing``: how long an editor waits for ``scenario lsp`` after a letter.

A line is typed, letter by letter, into the largest scenario that ships. After each letter the
client waits for the faults and asks what may stand at the cursor, over the server's standard
streams, so that what passed is what a person waits for. Processors' time is that of the server and
of its processes together, and the ratio is to one parsing of the same text by PyYAML's CSafeLoader
in this process and run.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time

import yaml

from tests.lsp.client import Editor

SCENARIOS = Path(__file__).parents[1] / "scenarios"
KEYS = "      - mmio: {read: uart+FR, len: 4}\n"
CODE = "           add x5, x5, #1\n"
ROUNDS = 3
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints the table."""
    path = max(SCENARIOS.rglob("*.vcpu.yaml"), key=lambda each: each.stat().st_size)
    text = path.read_text()
    floor = median(_floor(text) for _ in range(50))
    print(f"{path.relative_to(SCENARIOS)}, {len(text)} characters; floor {floor * 1e3:.1f} ms\n")
    print("| a letter of | faults: median, 95 % | completion | processors' time | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    editor = Editor(SCENARIOS)
    editor.open(path, text)
    editor.faults(path)
    first = text.index("\n", text.index("code: |")) + 1
    for what, line, at in (
        ("the title, all else in order", " and more of it", text.index("\n", text.index("title:"))),
        ("an expected exit", KEYS, text.rindex("\n      - ") + 1),
        ("the guest's code", CODE, text.index("\n", first) + 1),
    ):
        _row(editor, path, text, what, line, at, floor)
    editor.close()


def _row(
    editor: Editor, path: Path, text: str, what: str, line: str, at: int, floor: float
) -> None:
    faults, completions = [], []
    before = _processors(editor.process.pid)
    for _ in range(ROUNDS):
        for end in range(1, len(line.rstrip("\n")) + 1):
            rest = text[at:] if not line.endswith("\n") else "\n" + text[at:]
            typed = text[:at] + line[:end] + rest
            start = perf_counter()
            editor.change(path, typed)
            editor.faults(path)
            faults.append(perf_counter() - start)
            before_it = typed[: at + end].split("\n")
            start = perf_counter()
            editor.ask("completion", path, len(before_it) - 1, len(before_it[-1]))
            completions.append(perf_counter() - start)
    each = (_processors(editor.process.pid) - before) / len(faults)
    print(
        f"| {what} | {_ms(median(faults))}, {_ms(_most(faults))} | {_ms(median(completions))},"
        f" {_ms(_most(completions))} | {_ms(each)} | {each / floor:.1f} |"
    )


def _most(seconds: list[float]) -> float:
    """What 95 of 100 stay within: the longest of all is the machine's, if others use it."""
    return quantiles(seconds, n=20)[-1]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


def _floor(text: str) -> float:
    start = process_time()
    yaml.load(text, Loader=yaml.CSafeLoader)
    return process_time() - start


def _processors(server: int) -> float:
    """Seconds of processors of a process, what it has started, and what has ended below it."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if server in (int(stat.parent.name), int(fields[1])):
            total += sum(map(int, fields[11:15]))
    return total / TICK


if __name__ == "__main__":
    main()

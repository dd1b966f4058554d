"""Writes what a kernel gave into a scenario's text: a clause for it, all else as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.case import Case
from runner.scenario import yaml12
from runner.scenario.expecting import Unwritable, expectation_lines
from runner.scenario.nodes import Map, Scalar, Sequence
from runner.trace import Exit, Trace


def with_clause(
    text: str, path: Path, kernel: str, case: Case, trace: Trace, symbols: Mapping[str, int]
) -> str:
    """``text`` with a clause that expects ``trace`` of ``kernel``.

    It takes the place of the clause that is for this very release, or comes before the others.
    Raises :class:`Unwritable` where the text leaves no place for it.
    """
    clause = list(_clause(kernel, case, trace, symbols))
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    node, _ = yaml12.parse(text, str(path))
    expect = node.get("expect") if isinstance(node, Map) else None
    if not isinstance(expect, Sequence) or not expect.items:
        if expect is not None:
            raise Unwritable("its `expect:` is empty or no list: take the key out")
        return "".join([*lines, "\nexpect:\n", *_indented(clause, 2)])
    starts = [item.span.line - 1 for item in expect.items]
    dashes = [_dash(lines[start]) for start in starts]
    if None in dashes or len(set(starts)) != len(starts):
        raise Unwritable("its `expect:` is written in brackets: write it as a list of lines")
    indent = dashes[0] or 0
    for number, item in enumerate(expect.items):
        found = item.get("kernels") if isinstance(item, Map) else None
        if isinstance(found, Scalar) and found.text == kernel:
            start = starts[number]
            end = item.span.end_line
            if end > start and not lines[end - 1].strip():
                end -= 1
            return "".join(
                [*lines[:start], *_indented(clause, indent), *lines[max(end, start + 1) :]]
            )
    first = starts[0]
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "".join([*lines[:first], *_indented(clause, indent), *lines[first:]])


def _dash(line: str) -> int | None:
    stripped = line.lstrip(" ")
    return len(line) - len(stripped) if stripped.startswith("- ") else None


def _indented(clause: list[str], indent: int) -> Iterator[str]:
    return (f"{' ' * indent}{line}\n" for line in clause)


def _clause(kernel: str, case: Case, trace: Trace, symbols: Mapping[str, int]) -> Iterator[str]:
    only = Trace(exits=tuple(trace.exits), error=trace.error, errno=trace.errno)
    names = {addr: name for name, addr in symbols.items()}
    for line in list(expectation_lines(case, only, kernel))[1:]:
        yield _named(line.removeprefix("  "), only.exits, names)


def _named(line: str, exits: tuple[Exit, ...], names: Mapping[int, str]) -> str:
    for exit_ in exits:
        if exit_.pc in names:
            for behind in ("}", ","):
                line = line.replace(f"pc: {exit_.pc:#x}{behind}", f"pc: {names[exit_.pc]}{behind}")
    return line

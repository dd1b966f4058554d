"""What VMMs tell a debugger, kernels down and VMMs across: as text and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from vcpu_scenario.analysis.stops import Cell, Row, Table
from vcpu_scenario.course import End
from vcpu_scenario.host.printable import json_text
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.report.styled import Line, line
from vcpu_scenario.vmm.vmms import VMMS

WIDTH: Final = 100
_COLUMN: Final = 20
"""Characters of a cell; as many VMMs stand side by side as there is room for."""
_BETWEEN: Final = "  "

_POINTS: Final = {0: "software breakpoint", 1: "hardware breakpoint"}
_STYLES: Final = {"skips": "fail", "twice": "fail", "lost": "error", "not": "not-modelled"}
"""By the first word of what a cell says."""

_ENDS: Final = {
    End.OFF: "the guest switched itself off",
    End.CODE: "it came to the end of the code",
    End.ENOUGH: "it was left there",
    End.WAITS: "it waits for an interrupt",
    End.RUNS: "it did not come back",
    End.NOWHERE: "it is where there is no code",
    End.VMM: "the VMM ended",
    End.REFUSED: "the kernel refused it",
    End.NOT_MODELLED: "not modelled",
    End.LEFT_OUT: "the VMM cannot be what the scenario says",
}

_MARKS: Final = {
    "recorded": "sessions of this VMM under a kernel of the row were recorded, and are reproduced",
    "other": "those were recorded under other kernels; here the kernel's rules are others",
    "source": "from the VMM's source, it was not recorded",
    "kernel": "what the kernel gives, and nothing else",
    "machine": "on this machine",
    "itself": "recorded: the VMM itself told it, on this machine",
}
_LETTERS: Final = {"itself": "r"}
"""Of the marks that do not begin with theirs."""


def text(tables: Sequence[Table], width: int = WIDTH) -> list[Line]:
    """Every line: for each scenario its table, in blocks where there are more VMMs than the width
    has room for, and a legend at the end."""
    lines: list[Line] = []
    for table in tables:
        lines += [*_text(table, width), line()]
    return [*lines, *_legend(tables, width)]


def _text(table: Table, width: int) -> Iterator[Line]:
    for part in textwrap.wrap(table.case.scenario.title, width):
        yield line((part, "title"))
    yield line((name(table), "place"))
    column = max([len("kernels"), *(len(kernels(row)) for row in table.rows)])
    room = max(1, (width - column) // (_COLUMN + len(_BETWEEN)))
    for first in range(0, len(table.vmms), room):
        yield line()
        yield from _block(table, range(first, min(first + room, len(table.vmms))), column)
    for kernel, reason in table.left_out:
        yield line((f"{kernel:<{column}}{_BETWEEN}", "title"), (f"left out: {reason}", "skip"))


def _block(table: Table, columns: range, column: int) -> Iterator[Line]:
    heads = (f"{table.vmms[n]:<{_COLUMN}}" for n in columns)
    yield line((_BETWEEN.join((f"{'kernels':<{column}}", *heads)).rstrip(), "title"))
    for row in table.rows:
        cells = [list(_wrapped(row.cells[n], evidence(table, row, n)[0])) for n in columns]
        for number, parts in enumerate(zip_longest(*cells, fillvalue=("", ""))):
            head = kernels(row) if number == 0 else ""
            shown: list[str | tuple[str, str]] = [(f"{head:<{column}}", "title")]
            for place, (words, style) in enumerate(parts):
                padded = words if place == len(parts) - 1 else f"{words:<{_COLUMN}}"
                shown += [_BETWEEN, (padded, style)]
            yield line(*_stripped(shown))


def _stripped(parts: list[str | tuple[str, str]]) -> Iterator[str | tuple[str, str]]:
    """Without the blanks at the end of the line."""
    while parts and not _words(parts[-1]).strip():
        parts.pop()
    *most, last = parts
    yield from most
    yield last.rstrip() if isinstance(last, str) else (last[0].rstrip(), last[1])


def _words(part: str | tuple[str, str]) -> str:
    return part if isinstance(part, str) else part[0]


def _wrapped(cell: Cell, kind: str) -> Iterator[tuple[str, str]]:
    for number, words in enumerate(says(cell)):
        style = _STYLES.get(words.split()[0], "")
        shown = f"{words} {mark(kind)}".rstrip() if number == 0 else words
        for part in textwrap.wrap(shown, _COLUMN, subsequent_indent="  "):
            yield part, style


def mark(kind: str) -> str:
    """The letter of how a cell is known; none for one that says nothing of it."""
    return f"[{_LETTERS.get(kind, kind[0])}]" if kind else ""


def says(cell: Cell) -> Iterator[str]:
    """What there is to say of a cell, the most ordinary thing first."""
    if cell.end is End.NOT_MODELLED:
        yield f"not modelled: {cell.words}"
    elif cell.end is End.REFUSED:
        yield f"refused: {cell.words}"
    elif cell.end is End.LEFT_OUT:
        yield f"left out: {cell.words}"
    else:
        most = "+" if cell.end is End.ENOUGH else ""
        yield f"{len(cell.told) - 1}{most} told"
    for kind, word in (("skipped", "skips"), ("twice", "twice")):
        counts = Counter(found.place.name for found in cell.findings if found.kind == kind)
        if counts:
            yield f"{word} {', '.join(_times(*each) for each in counts.items())}"
    yield from (
        f"sets no {point}" for point in dict.fromkeys(_point(kind) for kind, *_ in cell.unset)
    )
    if cell.end.is_loss:
        yield f"lost after {_last(cell)}{', the VMM gave it an exception' if cell.given else ''}"
        if cell.words:
            yield cell.words
    elif cell.end is End.WAITS:
        yield f"waits after {_last(cell)}"


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{name} x{count}"


def _point(kind: int) -> str:
    return _POINTS.get(kind, "watchpoint")


def _last(cell: Cell) -> str:
    """The last stop at which the guest was where it has code."""
    told = cell.told[:-1] if cell.end is End.NOWHERE and len(cell.told) > 1 else cell.told
    return told[-1].place.name if told else cell.place.name


def kernels(row: Row) -> str:
    """``6.1``, ``5.13 to 6.13``."""
    first, last = row.kernels[0], row.kernels[-1]
    return first if first == last else f"{first} to {last}"


def name(table: Table) -> str:
    """The case's id without kernel and VMM."""
    kind = parse_release(table.case.kernel).kind.lstrip("-+")
    where = f" on {table.machine or kind}" if table.machine or kind else ""
    return f"{table.case.id.rpartition('@')[0]}{where}"


def evidence(table: Table, row: Row, column: int) -> tuple[str, tuple[str, ...]]:
    """How a cell is known: a word of the legend, and the kernels of the row that were recorded."""
    known = VMMS[table.vmms[column]].known
    if row.cells[column].end is End.LEFT_OUT:
        return "", ()
    if table.vmms[column] in table.carried:
        return "itself", row.kernels
    if table.machine:
        return "machine", ()
    if not known.version:
        return "kernel", ()
    if not known.recorded:
        return "source", ()
    there = tuple(kernel for kernel in row.kernels if kernel in known.recorded)
    return ("recorded", there) if there else ("other", ())


def legend(tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    """What the words and marks of these tables mean."""
    yield (
        "told",
        "stops that the debugger is told of, the start not counted; 100 are enough, or 10 at one"
        " place",
    )
    yield "skips", "the instruction ran, or KVM moved pc over it, and no stop was at it"
    yield "twice", "it was told of again, and nothing had run"
    yield "lost after", "no stop comes after that one, or one where there is no code"
    used: dict[str, dict[str, None]] = {}
    for table in tables:
        for row in table.rows:
            for number, vmm in enumerate(table.vmms):
                used.setdefault(evidence(table, row, number)[0], {})[vmm] = None
    for kind, words in _MARKS.items():
        if kind in used:
            known = _carried(tables) if kind == "itself" else _known(kind, list(used[kind]))
            yield mark(kind), ": ".join(filter(None, (words, known)))


def _carried(tables: Sequence[Table]) -> str:
    releases = {vmm: release for table in tables for vmm, release in table.carried.items()}
    return ", ".join(f"{vmm} ({release})" for vmm, release in releases.items())


def _known(kind: str, vmms: Sequence[str]) -> str:
    """Which VMMs, by release or commit, and under which kernels."""
    if kind in ("kernel", "machine"):
        return ""
    named: dict[str, list[str]] = {}
    for vmm in vmms:
        known = VMMS[vmm].known
        under = f" under {', '.join(known.recorded)}" if known.recorded else ""
        named.setdefault(under, []).append(f"{vmm} ({known.version})")
    return "; ".join(f"{', '.join(each)}{under}" for under, each in named.items())


def _legend(tables: Sequence[Table], width: int) -> Iterator[Line]:
    rows = list(legend(tables))
    column = max(len(word) for word, _ in rows)
    for word, meaning in rows:
        indent = " " * (column + len(_BETWEEN))
        first, *more = textwrap.wrap(meaning, width - len(indent), break_on_hyphens=False)
        yield line((f"{word:<{column}}{_BETWEEN}", "title"), first)
        yield from (line(f"{indent}{part}") for part in more)


def document(tables: Sequence[Table]) -> str:
    """The same as JSON: a list of tables, each with its ``rows``.

    A row has ``kernels`` and ``cells``, one for each VMM: ``stops``, each with ``pc``, ``at`` and
    ``why``, the start first; ``skipped`` and ``twice``, each with ``pc``, ``at`` and the number of
    the ``stop`` before which it was found; ``end``, one of :class:`vcpu_scenario.vmm.stepping.End`,
    with ``words``, ``pc`` and ``at``; ``lost`` and ``given``; ``unset``, breakpoints as [kind,
    address, length]; and ``evidence``, with ``kind``, ``version`` and the ``kernels`` recorded.
    """
    return json_text([_table(each) for each in tables])


def _table(table: Table) -> dict[str, Any]:
    return {
        "scenario": str(table.case.scenario.path),
        "name": name(table),
        "title": table.case.scenario.title,
        "params": dict(table.case.params),
        "machine": table.machine or "emulated",
        "vmms": list(table.vmms),
        "left_out": [{"kernel": kernel, "reason": reason} for kernel, reason in table.left_out],
        "rows": [_row(table, row) for row in table.rows],
    }


def _row(table: Table, row: Row) -> dict[str, Any]:
    cells = {
        vmm: _cell(cell) | {"evidence": _evidence(table, row, number)}
        for number, (vmm, cell) in enumerate(zip(table.vmms, row.cells, strict=True))
    }
    return {"kernels": list(row.kernels), "cells": cells}


def _evidence(table: Table, row: Row, number: int) -> dict[str, Any]:
    kind, recorded = evidence(table, row, number)
    vmm = table.vmms[number]
    version = table.carried.get(vmm, VMMS[vmm].known.version)
    return {"kind": kind, "version": version, "kernels": list(recorded)}


def _cell(cell: Cell) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"skipped": [], "twice": []}
    for each in cell.findings:
        found[each.kind].append({"pc": each.place.pc, "at": each.place.name, "stop": each.stop})
    return {
        "says": list(says(cell)),
        "stops": [
            {"pc": told.place.pc, "at": told.place.name, "why": told.why} for told in cell.told
        ],
        **found,
        "end": cell.end,
        "words": cell.words or _ENDS[cell.end],
        "pc": cell.place.pc,
        "at": cell.place.name,
        "lost": cell.end.is_loss,
        "given": cell.given,
        "unset": [list(point) for point in cell.unset],
    }

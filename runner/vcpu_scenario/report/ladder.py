"""The ladder VMM | KVM | guest, in columns of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TypeAlias

from vcpu_scenario.expectation import Expectation
from vcpu_scenario.report.cite import Citations
from vcpu_scenario.report.difference import difference_lines, finding_words
from vcpu_scenario.report.rungs import Rung, deeds_after, rungs
from vcpu_scenario.report.styled import Line, line
from vcpu_scenario.verdict.records import END, Cause, Place
from vcpu_scenario.verdict.result import Result, Verdict

if TYPE_CHECKING:
    from vcpu_scenario.analysis.later import NotYet

Cell: TypeAlias = list[tuple[str, str]]
"""Lines of one column, each with its style."""

_MARGIN: Final = 4
_MOST_INSTRUCTIONS: Final = 8


def ladder(result: Result, width: int = 100, later: NotYet | None = None) -> list[Line]:
    """One case: its heading, a rung for each entry and exit, and what differs.

    ``later`` tells which of the exits is another one on later releases.
    """
    case = result.case
    lines = [
        line((case.scenario.title, "title")),
        line((case.id, "place"), *_verdict(result)),
    ]
    expectation = case.expectation
    if expectation is not None and expectation.about:
        lines.append(line((" ".join(expectation.about.split()), "dim")))
    if result.verdict is Verdict.XFAIL:
        lines.append(line((f"known to fail: {result.reason}", "xfail")))
    lines.append(line())
    if result.trace is None:
        return [*lines, line(result.reason)]
    if result.trace.error is not None:
        lines.append(line(f"the kernel refused the set-up: {result.trace.error}"))
    columns = _Columns(width)
    climbed = rungs(result)
    if climbed:
        lines += columns.heading()
    for rung in climbed:
        lines += columns.rung(rung, later if later and later.exit == rung.index else None)
    lines += columns.after(deeds_after(result))
    for cause in result.causes:
        if cause.exit == END:
            lines += columns.at_the_end(cause)
    if result.verdict is Verdict.NOT_MODELLED:
        lines += [line(), line((result.reason, "not-modelled")), line((result.detail, "dim"))]
    if result.cut:
        lines += [line(), line((result.cut, "skip"))]
    for mismatch in result.mismatches:
        lines.append(line())
        lines += difference_lines(mismatch, columns.citations)
    return lines


def _verdict(result: Result) -> list[str | tuple[str, str]]:
    expectation = result.case.expectation
    if expectation and expectation == Expectation(expectation.span, about=expectation.about):
        return []  # to have expected nothing is not to have passed
    return [": ", (result.verdict.replace("-", " "), result.verdict)]


class _Columns:
    """Lays three columns out over ``width``."""

    def __init__(self, width: int) -> None:
        room = max(width - _MARGIN - 6, 54)
        self.citations = Citations()
        self.widths = (room * 30 // 100, room * 40 // 100, room - room * 70 // 100)

    def heading(self) -> Iterator[Line]:
        names: list[Cell] = [[(name, "title")] for name in ("VMM", "KVM", "guest")]
        yield from self._row("", names)
        yield self._separator()

    def rung(self, rung: Rung, later: NotYet | None) -> Iterator[Line]:
        yield from self._row(
            str(rung.index),
            [
                [*((words, "") for words in rung.vmm), ("KVM_RUN ──►", "title")],
                [(words, "") for words in rung.kvm],
                list(_instructions(rung)),
            ],
        )
        shaped = [*self._shaped(rung), *self._not_yet(later)]
        yield from self._row("", [list(_told(rung)), shaped, list(_state(rung))])
        for mismatch in rung.mismatches:
            yield line(" " * _MARGIN, (f"✗ {mismatch.message}", "fail"))
        yield self._separator()

    def after(self, deeds: Sequence[str]) -> Iterator[Line]:
        """What the VMM did once the last exit had come."""
        if deeds:
            yield from self._row("", [[(words, "") for words in deeds], [], []])
            yield self._separator()

    def _shaped(self, rung: Rung) -> Iterator[tuple[str, str]]:
        if rung.syndrome:
            yield f"hsr {rung.exit.fields['hsr']:#x}: {rung.syndrome}", ""
        for cause in rung.causes:
            yield from self._cause(cause)

    def _cause(self, cause: Cause) -> Iterator[tuple[str, str]]:
        for name, words in self.citations.of(cause.rules):
            yield f"rule {name}" + _after_colon(words), "rule"
        if len(cause.rules) > 1:
            yield f"any one of {', '.join(cause.rules)} is enough", "dim"

    def at_the_end(self, cause: Cause) -> Iterator[Line]:
        """A rule without which only the state at the end would be another."""
        for text, style in self._cause(cause):
            yield line(("at the end: ", ""), (text, style))

    def _not_yet(self, later: NotYet | None) -> Iterator[tuple[str, str]]:
        for name, words in self.citations.of(later.rules if later else ()):
            assert later is not None
            yield f"not yet, but from {later.kernel} on: {name}" + _after_colon(words), "rule"

    def _separator(self) -> Line:
        total = _MARGIN + sum(self.widths) + 6
        return line(("─" * total, "dim"))

    def _row(self, margin: str, cells: Sequence[Cell]) -> Iterator[Line]:
        wrapped = [
            list(_wrapped(cell, width)) for cell, width in zip(cells, self.widths, strict=True)
        ]
        for n, row in enumerate(zip_longest(*wrapped, fillvalue=("", ""))):
            parts: list[str | tuple[str, str]] = [f"{margin if n == 0 else '':>{_MARGIN - 1}} "]
            for column, ((text, style), width) in enumerate(zip(row, self.widths, strict=True)):
                if column:
                    parts.append((" │ ", "dim"))
                parts.append((f"{text:<{width}}" if column < 2 else text, style))
            yield _stripped(line(*parts))


def _after_colon(words: str) -> str:
    return f": {words}" if words else ""


def _stripped(parts: Line) -> Line:
    kept = list(parts)
    while kept and not kept[-1][0]:
        kept.pop()
    text, style = kept[-1]
    return (*kept[:-1], (text.rstrip(), style))


def _wrapped(cell: Cell, width: int) -> Iterator[tuple[str, str]]:
    for text, style in cell:
        for part in textwrap.wrap(text, width, subsequent_indent="  ") or [""]:
            yield part, style


def _instructions(rung: Rung) -> Iterator[tuple[str, str]]:
    if rung.executed is None:
        yield f"runs from {rung.entry.name}", "guest"
    else:
        yield from ((_code(place), "guest") for place in rung.executed[:_MOST_INSTRUCTIONS])
        if (more := len(rung.executed) - _MOST_INSTRUCTIONS) > 0:
            yield f"and {more} more", "guest"
    if rung.held is not None:
        yield f"{_code(rung.held)} ◄ exits", "guest"
    elif rung.executed == ():
        yield "executes nothing", "dim"


def _code(place: Place) -> str:
    return f"{place.name}: {place.instruction}" if place.instruction else place.name


def _told(rung: Rung) -> Iterator[tuple[str, str]]:
    yield f"◄── {rung.headline}", "title"
    for stop in rung.stops:
        yield f"tells its debugger: {stop.reason.replace('_', ' ')}", ""
    for finding in rung.findings:
        yield finding_words(finding), "fail"


def _state(rung: Rung) -> Iterator[tuple[str, str]]:
    changed = ", ".join(f"{reg}={value:#x}" for reg, value in rung.exit.regs.items())
    if changed:
        yield changed, ""

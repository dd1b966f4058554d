"""One mismatch as people read it: the line it breaks, the guest's code, the rule."""

from __future__ import annotations

from collections.abc import Iterator

from vcpu_scenario.report.cite import Citations
from vcpu_scenario.report.styled import Line, line
from vcpu_scenario.source import Span, excerpt
from vcpu_scenario.verdict.records import Mismatch, Place, StopFinding


def difference_lines(mismatch: Mismatch, citations: Citations) -> Iterator[Line]:
    """``file:line:column: message``, the excerpt with its caret, and what explains it."""
    yield line((f"{where(mismatch.span)}:", "place"), " ", (mismatch.message, "fail"))
    shown = excerpt(mismatch.span)
    for n, text in enumerate(shown):
        yield line(text) if n == 0 else line((text, "caret"))
    margin = " " * (len(str(mismatch.span.line)) + 1)
    for note in mismatch.notes:
        yield line(f" {margin}= {note}")
    if mismatch.place is not None and mismatch.place.instruction:
        yield line(f" {margin}= guest: ", (_place_words(mismatch.place), "guest"))
    for name, words in citations.of(mismatch.rules):
        yield line(f" {margin}= rule: ", (name, "rule"), f": {words}" if words else "")


def _place_words(place: Place) -> str:
    address = f"{place.pc:#x}"
    name = "" if place.name == address else f"{place.name} "
    source = f", {where(place.source)}" if place.source is not None else ""
    return f"{name}({address}) `{place.instruction}`{source}"


def where(span: Span) -> str:
    return f"{span.file}:{span.line}:{span.column}"


def finding_words(finding: StopFinding) -> str:
    """What a debugger's user sees go wrong at a stop, with the instruction's name."""
    place = finding.place
    what = f"{place.name}: {place.instruction}" if place.instruction else place.name
    if finding.kind == "skipped":
        return f"skipped: {what} ran, and no stop showed it"
    return f"reported twice: {what}, with nothing executed in between"

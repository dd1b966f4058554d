"""A line above each clause that runs its cases, and shows there what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol.types import CodeLens, Command

from vcpu_scenario.language.nodes import Map, items_of
from vcpu_scenario.lsp.documents import Document
from vcpu_scenario.source import Span

COMMAND = "scenario.run"


def lenses(document: Document) -> list[CodeLens]:
    """One for the whole scenario and one for each clause."""
    if document.now.root is None or document.checked.faults:
        return []
    return [_lens(document, line, span) for line, span in clauses(document.now.root)]


def clauses(root: Map) -> Iterator[tuple[int | None, Span]]:
    """Each clause by its line and with its place; first the scenario, without a line."""
    title = root.key("title")
    yield None, title.span if title is not None else root.span
    expect = root.get("expect")
    for clause in items_of(expect):
        yield clause.span.line, clause.span


def _lens(document: Document, line: int | None, span: Span) -> CodeLens:
    what = "all cases" if line is None else "these cases"
    title = f"▶ run {what}"
    if line in document.runs:
        ran = document.runs[line]
        title = "… running" if ran is None else f"{'✓' if ran.good else '✗'} {ran.outcome}"
    start, _ = document.now.positions.bounds(span)
    at = document.now.positions.between(start, start)
    return CodeLens(at, Command(title, COMMAND, arguments=[document.uri, line]))

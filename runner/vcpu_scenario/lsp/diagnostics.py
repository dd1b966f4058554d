"""Faults as an editor shows them."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol.types import Diagnostic, DiagnosticSeverity

from vcpu_scenario.lsp.documents import Document
from vcpu_scenario.source import Diagnostic as Fault

CHECK = "scenario"
RUN = "scenario run"


def diagnostics(document: Document) -> list[Diagnostic]:
    """What is wrong with the document's text, and what of its runs was not as expected."""
    # Faults of a text that is no more have no place in this one; those of this one are to come.
    faults = document.checked.faults if document.of is document.now else ()
    return [
        *(_shown(document, fault, CHECK) for fault in faults),
        *(_shown(document, fault, RUN) for fault in _differences(document)),
    ]


def words(fault: Fault) -> str:
    """A fault in words, with what was found, expected, and may help."""
    notes = (("found", fault.found), ("expected", fault.expected), ("help", fault.help))
    return "\n".join([fault.message, *(f"{name}: {note}" for name, note in notes if note)])


def _differences(document: Document) -> Iterator[Fault]:
    seen = set()
    for ran in document.runs.values():
        for fault in ran.differences if ran is not None else ():
            if fault.span.file == document.path and fault not in seen:
                seen.add(fault)
                yield fault


def _shown(document: Document, fault: Fault, source: str) -> Diagnostic:
    return Diagnostic(
        document.now.positions.range(fault.span),
        words(fault),
        severity=DiagnosticSeverity.Error,
        source=source,
    )

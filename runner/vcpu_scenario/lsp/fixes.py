"""Quick fixes: for each fault whose help says which word was meant, that word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from lsprotocol.types import CodeAction, CodeActionKind, Range, TextEdit, WorkspaceEdit

from vcpu_scenario.host.printable import meant
from vcpu_scenario.lsp.documents import Document
from vcpu_scenario.source import Diagnostic

_NAMED: Final = re.compile("`([^`]+)`")


def fixes(document: Document, range_: Range) -> list[CodeAction]:
    """The fixes of the faults in a range."""
    if document.of is not document.now:
        return []  # of a text that is no more
    positions = document.now.positions
    first, last = positions.offset_of(range_.start), positions.offset_of(range_.end)
    found: list[CodeAction] = []
    for fault in document.checked.faults:
        start, end = positions.bounds(fault.span)
        if start <= last and first <= end:
            found += _fix(document, fault)
    return found


def _fix(document: Document, fault: Diagnostic) -> Iterator[CodeAction]:
    word = meant(fault.help)
    wrong = wrong_word(document, fault, word) if word else None
    if wrong is None:
        return
    edit = TextEdit(document.now.positions.between(*wrong), word)
    yield CodeAction(
        f"Write `{word}`",
        kind=CodeActionKind.QuickFix,
        is_preferred=True,
        edit=WorkspaceEdit(changes={document.uri: [edit]}),
    )


def wrong_word(document: Document, fault: Diagnostic, meant_: str) -> tuple[int, int] | None:
    """Where in the text of a fault the word is that was written for another: of ``lop+4`` the
    ``lop``."""
    text = document.now.text
    start, end = document.now.positions.bounds(fault.span)
    names = [*_NAMED.findall(fault.message), *_NAMED.findall(fault.found)]
    for name in get_close_matches(meant_, names, n=len(names) or 1, cutoff=0):
        found = re.search(rf"(?<![\w.$]){re.escape(name)}(?![\w$])", text[start:end])
        if found is not None:
            return start + found.start(), start + found.end()
    return None

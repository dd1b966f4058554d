"""What may be written at the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from lsprotocol.types import (
    CompletionItem,
    CompletionItemKind,
    CompletionList,
    MarkupContent,
    MarkupKind,
    Position,
    TextEdit,
)

from vcpu_scenario.lsp.cursor import Cursor, cursor
from vcpu_scenario.lsp.documents import Document
from vcpu_scenario.lsp.vocabulary import Word, addresses, keys_at, values_at

_KINDS: Final[Mapping[str, CompletionItemKind]] = {
    "key": CompletionItemKind.Property,
    "value": CompletionItemKind.EnumMember,
    "label": CompletionItemKind.Function,
    "device": CompletionItemKind.Module,
    "register": CompletionItemKind.Variable,
    "kernel": CompletionItemKind.Constant,
    "rule": CompletionItemKind.Reference,
}


def completion(document: Document, position: Position) -> CompletionList:
    """Everything that may stand at a position, in the order of the schema."""
    text = document.now
    at = cursor(text.text, text.positions.offset_of(position))
    range_ = text.positions.between(at.start, at.end)
    items = [
        CompletionItem(
            word.text,
            kind=_KINDS[word.kind],
            detail=word.kind,
            documentation=MarkupContent(MarkupKind.Markdown, word.about) if word.about else None,
            sort_text=f"{number:05}",
            filter_text=word.text,
            text_edit=TextEdit(range_, written),
        )
        for number, (word, written) in enumerate(_words(document, at))
    ]
    return CompletionList(False, items)


def _words(document: Document, at: Cursor) -> Iterator[tuple[Word, str]]:
    """Each word with how it is written."""
    seen = set()
    for spot in at.spots:
        if spot.is_key:
            found = [word for word in keys_at(spot.path) if word.text not in spot.present]
        elif spot.in_code:
            found = addresses(document.around(at.start), document.symbols)
        else:
            found = values_at(spot.path, document.around(at.start), document.symbols)
        for word in found:
            if word.text not in seen:
                seen.add(word.text)
                name = f'"{word.text}"' if word.quote and not at.quoted else word.text
                yield word, f"{name}: " if spot.is_key and not at.followed else name

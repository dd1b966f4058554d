"""What a word means: a key by the schema, a rule, a label."""

from __future__ import annotations

from lsprotocol.types import Hover, MarkupContent, MarkupKind, Position

from vcpu_scenario.language.nodes import Scalar
from vcpu_scenario.lsp.definition import name_at
from vcpu_scenario.lsp.documents import Document, Here, at
from vcpu_scenario.lsp.vocabulary import about, addresses, rule_about


def here(document: Document, position: Position) -> Here | None:
    """What stands at a position of the text as it is."""
    text = document.now
    if text.root is None:
        return None
    return at(text.root, *text.positions.place(text.positions.offset_of(position)))


def meaning(document: Document, found: Here, position: Position) -> str:
    """What stands at a position means, in Markdown; maybe nothing."""
    text = document.now
    name = name_at(text.text, text.positions.offset_of(position))
    if (rule := rule_about(name)) and not found.is_key:
        return f"`{name}`\n\n{rule}"
    if not isinstance(found.node, Scalar):
        return ""
    named = "" if found.is_key else _address(document, name) or register_at(document, position)
    if named and found.path == ("guest", "code"):
        return named  # what code is need not be said at each of its words
    return "\n\n".join(filter(None, (named, about(found.path))))


def register_at(document: Document, position: Position) -> str:
    """What the register of a device is that stands at a position, ``uart+FR``."""
    text = document.now
    whole = name_at(text.text, text.positions.offset_of(position), of_device=True)
    return _address(document, whole.replace(" ", ""))


def _address(document: Document, name: str) -> str:
    for word in addresses(document.root, document.symbols):
        if word.text == name:
            return f"{word.kind} `{name}`" + (f": {word.about}" if word.about else "")
    return ""


def is_of_exit(found: Here) -> bool:
    """Whether a place is within an exit that is expected."""
    path = found.path
    return len(path) > 3 and path[0] == "expect" and path[2] == "exits"


def shown(document: Document, found: Here, markdown: str) -> Hover:
    """A hover over what stands there."""
    range_ = document.now.positions.range(found.node.span)
    return Hover(MarkupContent(MarkupKind.Markdown, markdown), range_)

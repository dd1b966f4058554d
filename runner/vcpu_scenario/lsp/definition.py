"""From a name to where it is defined: labels in the guest's code, symbols, devices, parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lsprotocol.types import Location, Position

from vcpu_scenario.language.nodes import Map, Node, Scalar
from vcpu_scenario.lsp.documents import Document
from vcpu_scenario.lsp.vocabulary import LABEL

_NAME: Final = re.compile(r"[A-Za-z_.$][\w.$]*")
_OF_DEVICE: Final = re.compile(r"(?<![\w.$])[A-Za-z_.$][\w.$]* ?\+ ?[A-Z][A-Z0-9_]*")
"""Begins where a word does: else a long word would be read from each of its characters."""


def definition(document: Document, position: Position) -> Location | None:
    """Where the name at a position is defined in the same file."""
    text = document.now
    name = name_at(text.text, text.positions.offset_of(position))
    root = text.root
    if not name or root is None:
        return None
    for start, end in _definitions(document, root, name):
        return Location(document.uri, text.positions.between(start, end))
    return None


def name_at(text: str, offset: int, *, of_device: bool = False) -> str:
    """The name at an offset, or nothing; ``of_device`` with the device before it, ``uart+FR``."""
    pattern = _OF_DEVICE if of_device else _NAME
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)]
    for found in pattern.finditer(line):
        if start + found.start() <= offset <= start + found.end():
            return found[0].rstrip(".")
    return ""


def _definitions(document: Document, root: Map, name: str) -> Iterator[tuple[int, int]]:
    """The offsets of what defines a name, as ``label`` is found before a device of its name."""
    positions = document.now.positions
    guest = root.get("guest")
    if isinstance(guest, Map):
        code = guest.get("code")
        if isinstance(code, Scalar):
            start, end = positions.bounds(code.span)
            for found in LABEL.finditer(document.now.text, start, end):
                if found[1] == name:
                    yield found.span(1)
        yield from _key(document, guest.get("symbols"), name)
    yield from _key(document, root.get("devices"), name)
    yield from _key(document, root.get("matrix"), name)


def _key(document: Document, node: Node | None, name: str) -> Iterator[tuple[int, int]]:
    key = node.key(name) if isinstance(node, Map) else None
    if key is not None:
        yield document.now.positions.bounds(key.span)

"""The parts of a Markdown file that tests look at: fenced blocks, headings, links, regions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

_REGION = re.compile(r"(<!-- begin ([^\n]*?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


class Fence(NamedTuple):
    """A fenced block: ``kind`` is its language, ``options`` the ``name=value`` after it.

    ``start`` and ``end`` are the lines of its content, from 0, the end exclusive.
    """

    kind: str
    options: dict[str, str]
    content: str
    start: int
    end: int


def _tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def fences(text: str) -> list[Fence]:
    """Every fenced block of ``text``."""
    found = []
    for token in _tokens(text):
        if token.type == "fence" and token.map is not None:
            kind, *options = token.info.split() or [""]
            pairs = dict(option.split("=", 1) for option in options)
            start, end = token.map
            found.append(Fence(kind, pairs, token.content, start + 1, end - 1))
    return found


def anchors(text: str) -> list[str]:
    """What links to the headings of ``text`` are called, as code hosts make them."""
    found = []
    for token, after in pairwise(_tokens(text)):
        if token.type == "heading_open":
            kept = re.sub(r"[^\w\- ]", "", after.content.lower())
            found.append(kept.replace(" ", "-"))
    return found


def links(text: str) -> list[str]:
    """Where the links of ``text`` lead."""
    targets: list[Any] = [token.attrGet("href") for token in _tokens(text)]
    return [str(target) for target in targets if target]


def code_spans(text: str) -> list[str]:
    """What stands in backquotes in the lines of ``text``."""
    return [token.content for token in _tokens(text) if token.type == "code_inline"]


def filled(text: str, parts: dict[str, str]) -> str:
    """``text`` with every region ``<!-- begin NAME -->`` holding the part of that name.

    Raises :class:`KeyError` for a region that no part is for.
    """
    return _REGION.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[4]}", text)


def regions(text: str) -> list[str]:
    """The names of the regions."""
    return [found[2] for found in _REGION.finditer(text)]

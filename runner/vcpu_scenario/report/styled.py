"""Lines of text with the style of each part, and the two ways to print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

Line: TypeAlias = tuple[tuple[str, str], ...]
"""Parts of a line: text, and the name of its style (``""`` for none)."""

STYLES: Final = {
    "pass": "green",
    "fail": "bold red",
    "error": "bold magenta",
    "skip": "yellow",
    "xfail": "yellow",
    "title": "bold",
    "rule": "cyan",
    "caret": "bold red",
    "dim": "dim",
    "place": "bold",
    "guest": "blue",
}


def line(*parts: str | tuple[str, str]) -> Line:
    """A line of plain and styled parts."""
    return tuple((part, "") if isinstance(part, str) else part for part in parts)


def plain(lines: Iterable[Line]) -> str:
    """The lines without styles, each ended."""
    return "".join(f"{''.join(safe(text) for text, _ in parts)}\n" for parts in lines)


def coloured(lines: Iterable[Line]) -> str:
    """The lines with ANSI colours, each ended."""
    # Rich costs more to import than a case to run: only who wants colours pays for it.
    from rich.style import Style

    styles = {name: Style.parse(spec) for name, spec in STYLES.items()}
    return "".join(
        "".join(styles[style].render(safe(text)) if style else safe(text) for text, style in parts)
        + "\n"
        for parts in lines
    )


def safe(text: str) -> str:
    """``text`` with whatever does not print escaped, as in a Python string.

    Titles, paths and data come from files; what they hold must not act on a terminal, and most
    forms of report cannot hold it at all.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)

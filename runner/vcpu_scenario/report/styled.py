"""Lines of text with the style of each part, and the two ways to print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from vcpu_scenario.host.printable import printable, quiet

Line: TypeAlias = tuple[tuple[str, str], ...]
"""Parts of a line: text, and the name of its style (``""`` for none)."""

STYLES: Final = {
    "pass": "green",
    "fail": "bold red",
    "error": "bold magenta",
    "skip": "yellow",
    "xfail": "yellow",
    "not-modelled": "magenta",
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


def rule(title: str, style: str, width: int) -> Line:
    """``title`` in the middle of a line across the page."""
    return line((f" {title} ".center(width, "="), style))


def plain(lines: Iterable[Line]) -> str:
    """The lines without styles, each ended."""
    return quiet("".join(f"{''.join(printable(text) for text, _ in parts)}\n" for parts in lines))


def coloured(lines: Iterable[Line]) -> str:
    """The lines with ANSI colours, each ended."""
    # Rich costs more to import than a case to run: only who wants colours pays for it.
    from rich.style import Style

    styles = {name: Style.parse(spec) for name, spec in STYLES.items()}
    return quiet(
        "".join(
            "".join(
                styles[style].render(printable(text)) if style else printable(text)
                for text, style in parts
            )
            + "\n"
            for parts in lines
        )
    )

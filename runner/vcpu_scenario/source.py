"""Source text with positions: spans, diagnostics, and excerpts with a caret.

Nothing here knows of YAML or of scenarios; whatever finds a fault in a file says so with a
:class:`Diagnostic`, and all of them are shown alike.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from vcpu_scenario.host.printable import did_you_mean as did_you_mean
from vcpu_scenario.host.printable import printable


class Span(Struct, frozen=True, order=True, gc=False):
    """A stretch of ``file``; lines and columns count from 1, the end column is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def covers(self, other: Span) -> bool:
        """Whether all of ``other`` is in it."""
        begins = (self.line, self.column) <= (other.line, other.column)
        ends = (other.end_line, other.end_column) <= (self.end_line, self.end_column)
        return self.file == other.file and begins and ends


class Diagnostic(Struct, frozen=True):
    """A fault in a file: what is wrong, where, what was found, what was expected, what may help.

    ``found``, ``expected`` and ``help`` are left out of the text where they are empty.
    """

    message: str
    span: Span
    found: str = ""
    expected: str = ""
    help: str = ""

    @property
    def place(self) -> tuple[str, int, int]:
        """Sorts diagnostics as their file reads."""
        return self.span.file, self.span.line, self.span.column


class InvalidScenario(Exception):
    """A file that is no valid scenario, with everything that was found wrong with it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda found: found.place))
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n\n".join(map(render, self.diagnostics))


WIDTH = 100
"""Columns of source that an excerpt shows at most."""

# YAML ends lines at NEL, LS and PS as well, and at nothing else that str.splitlines() takes.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_RED, _BLUE, _CYAN, _BOLD, _RESET = "\033[1;31m", "\033[1;34m", "\033[36m", "\033[1m", "\033[0m"


def split_lines(text: str, most: int = 0) -> list[str]:
    """The lines of ``text`` as YAML counts them, without their breaks; with ``most``, all that is
    behind so many is one more."""
    return _LINE_BREAK.split(text, most)


def line_starts(text: str) -> list[int]:
    """Where each line of :func:`split_lines` begins in ``text``, in characters."""
    return [0, *(found.end() for found in _LINE_BREAK.finditer(text))]


def render(diagnostic: Diagnostic, text: str | None = None, *, color: bool = False) -> str:
    """The diagnostic as ``file:line:column: error: message`` with an excerpt below it.

    ``text`` is the file's content where it is at hand; else the file is read. The result has no
    line break at its end, and ANSI colours only with ``color``.
    """
    span = diagnostic.span
    place = f"{printable(span.file)}:{span.line}:{span.column}:"
    message = printable(diagnostic.message)
    head = f"{_paint(place, _BOLD, color)} {_paint('error:', _RED, color)} {message}"
    lines = [head, *excerpt(span, text, color=color)]
    margin = " " * len(str(span.line))
    notes = (
        ("found", diagnostic.found),
        ("expected", diagnostic.expected),
        ("help", diagnostic.help),
    )
    for name, note in notes:
        if note:
            mark, word = _paint("=", _BLUE, color), _paint(f"{name}:", _CYAN, color)
            lines.append(f" {margin} {mark} {word} {printable(note)}")
    return "\n".join(lines)


def excerpt(span: Span, text: str | None = None, *, color: bool = False) -> list[str]:
    """The line of ``span`` with carets under it; empty where the file has no such line."""
    lines = split_lines(text) if text is not None else _lines_of(span.file)
    if not 0 < span.line <= len(lines):
        return []
    line = lines[span.line - 1]
    start = min(span.column - 1, len(line))
    end = span.end_column - 1 if span.end_line == span.line else len(line.rstrip())
    shown, carets = _window(line, start, max(start + 1, end))
    number = str(span.line)
    margin = " " * len(number)
    bar = _paint("|", _BLUE, color)
    return [
        f" {_paint(number, _BLUE, color)} {bar} {shown}".rstrip(),
        f" {margin} {bar} {_paint(carets, _RED, color)}",
    ]


def quoted(text: str, limit: int = 60) -> str:
    """``text`` in backquotes on one line, cut where it is long."""
    flat = _clean(" ".join(text.split()))
    return f"`{flat if len(flat) <= limit else flat[: limit - 1] + '…'}`"


def _paint(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{_RESET}" if color else text


def _window(line: str, start: int, end: int) -> tuple[str, str]:
    """The part of ``line`` worth showing, and the carets under its columns start to end."""
    first = max(0, start - WIDTH // 2) if len(line) > WIDTH else 0
    last = min(len(line), first + WIDTH)
    before, under = line[first:start], line[start : min(end, last)]
    shown = _clean(line[first:last])
    left = "…" if first else ""
    right = "…" if last < len(line) else ""
    carets = " " * (len(left) + _columns(before)) + "^" * max(1, _columns(under))
    return f"{left}{shown}{right}", carets


def _clean(text: str) -> str:
    # A file's control characters must not reach the terminal, where they may act.
    text = text.replace("\t", " ")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


_HELD: Final[dict[str, Sequence[str]]] = {}


def hold(file: str, lines: Sequence[str]) -> None:
    """Keeps ``lines`` for excerpts of what cannot be read twice, as a pipe cannot."""
    if not os.path.isfile(file):
        _HELD[file] = lines


def _lines_of(file: str) -> Sequence[str]:
    if (held := _HELD.get(file)) is not None:
        return held
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for its writer
            return ()
        return _read_lines(file, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return ()


@lru_cache(maxsize=4)
def _read_lines(file: str, modified: int, size: int) -> Sequence[str]:
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        raw = opened.read(1 << 20)
    return split_lines(raw.decode("utf-8-sig", "replace"))

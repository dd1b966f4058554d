"""Places in a text: lines and columns as YAML has them, offsets, and positions of the protocol.

The three count lines differently. YAML ends lines at NEL, LS and PS as well, the protocol at CR, LF
and CRLF alone; and a position counts in units of the encoding that client and server agree on, by
default that of UTF-16.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Final

from lsprotocol.types import Position, PositionEncodingKind, Range

from vcpu_scenario.host.textfile import BOM
from vcpu_scenario.source import Span, line_starts

_BREAK: Final = re.compile("\r\n|\r|\n")


def _utf16(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


_UNITS: Final[Mapping[str, Callable[[str], int]]] = {
    PositionEncodingKind.Utf8: lambda text: len(text.encode("utf-8", "surrogatepass")),
    PositionEncodingKind.Utf16: _utf16,
    PositionEncodingKind.Utf32: len,
}


class Positions:
    """The places of one text; ``encoding`` is what positions count in."""

    def __init__(self, text: str, encoding: str = PositionEncodingKind.Utf16) -> None:
        self.text = text
        self._units = _UNITS.get(encoding, _utf16)
        self._first = len(BOM) if text.startswith(BOM) else 0
        self._yaml = line_starts(text[self._first :])
        self._lines = [0, *(found.end() for found in _BREAK.finditer(text))]

    def offset(self, line: int, column: int) -> int:
        """Where ``line`` and ``column`` of YAML are, both from 1; no farther than the text goes."""
        if line > len(self._yaml):
            return len(self.text)
        at = self._yaml[max(line, 1) - 1] + max(column, 1) - 1
        return min(self._first + at, len(self.text))

    def place(self, offset: int) -> tuple[int, int]:
        """The line and column of YAML at ``offset``, both from 1."""
        at = max(offset - self._first, 0)
        line = bisect_right(self._yaml, at)
        return line, at - self._yaml[line - 1] + 1

    def position(self, offset: int) -> Position:
        """``offset`` as the protocol has it."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._lines, offset) - 1
        return Position(line, self._units(self.text[self._lines[line] : offset]))

    def offset_of(self, position: Position) -> int:
        """Where a position is; one behind its line's end is that end, as the protocol wants."""
        if position.line >= len(self._lines):
            return len(self.text)
        start = self._lines[position.line]
        ended = _BREAK.search(self.text, start)
        line = self.text[start : ended.start() if ended else len(self.text)]
        at, units = 0, 0
        while at < len(line) and units < position.character:
            units += self._units(line[at])
            at += 1
        # Within a character is before it.
        return start + (at - 1 if units > position.character else at)

    def bounds(self, span: Span) -> tuple[int, int]:
        """The offsets of a span, of which the end is not before the start."""
        start = self.offset(span.line, span.column)
        return start, max(start, self.offset(span.end_line, span.end_column))

    def range(self, span: Span) -> Range:
        """A span as the protocol has it. Blank lines and blanks at its end are no part of it."""
        start, end = self.bounds(span)
        end = start + len(self.text[start:end].rstrip()) or end
        return self.between(start, end)

    def between(self, start: int, end: int) -> Range:
        """The text from one offset up to the other."""
        return Range(self.position(start), self.position(end))

    def replaced(self, range_: Range, text: str) -> str:
        """The whole with ``text`` for what is in a range, whichever of its ends is first."""
        start, end = sorted(map(self.offset_of, (range_.start, range_.end)))
        return self.text[:start] + text + self.text[end:]

    def everything(self) -> Range:
        """The whole text."""
        return self.between(0, len(self.text))

"""Where a place within a scalar's text is in the file: for code, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vcpu_scenario.language.nodes import Scalar
from vcpu_scenario.source import Span


class TextPlace:
    """Maps lines and columns of ``scalar.text`` to the lines of the file it stands in."""

    def __init__(self, scalar: Scalar, file_lines: Sequence[str]) -> None:
        self.scalar = scalar
        self.file_lines = file_lines
        self._text_lines = scalar.text.split("\n") if scalar.style == "literal" else []

    def line(self, number: int) -> Span:
        """The text of line ``number`` (from 1), without the blanks around it."""
        return self._span(number, None)

    def point(self, number: int, column: int) -> Span:
        """The word at ``column`` of line ``number``, both from 1."""
        return self._span(number, column)

    def lines(self, numbers: Mapping[int, int]) -> Mapping[int, Span]:
        """For each address the line whose number it has in ``numbers``, found when asked for:
        most are never."""
        return _Lines(self, numbers)

    def _span(self, number: int, column: int | None) -> Span:
        span = self.scalar.span
        if self.scalar.style == "literal":
            return self._in_block(number, column)
        if span.line != span.end_line:
            return span
        if column is None:
            return span
        quote = 1 if self.scalar.style == "quoted" else 0
        start = min(span.column + quote + column - 1, span.end_column - 1)
        return Span(span.file, span.line, start, span.line, span.end_column - quote)

    def _in_block(self, number: int, column: int | None) -> Span:
        span = self.scalar.span
        text = self._text_lines
        number = min(number, max(1, len(text) - 1))
        content = text[number - 1] if 0 < number <= len(text) else ""
        line_number = span.line + number
        raw = self.file_lines[line_number - 1] if line_number <= len(self.file_lines) else ""
        indent = max(0, _blanks(raw) - _blanks(content))
        if column is None:
            first, last = _blanks(raw), len(raw.rstrip())
        else:
            first = min(indent + column - 1, len(raw))
            last = first + len(_first_word(raw[first:]))
        return Span(span.file, line_number, first + 1, line_number, max(first, last) + 1)


class _Lines(Mapping[int, Span]):
    __slots__ = ("_numbers", "_place")

    def __init__(self, place: TextPlace, numbers: Mapping[int, int]) -> None:
        self._place = place
        self._numbers = numbers

    def __getitem__(self, address: int) -> Span:
        return self._place.line(self._numbers[address])

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _blanks(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _first_word(text: str) -> str:
    word = text.split(None, 1)[0] if text.strip() else ""
    return word.rstrip(",")

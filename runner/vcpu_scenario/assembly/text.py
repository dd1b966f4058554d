"""Assembly source as lines and statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

LABELS: Final = re.compile(r"\s*(?:[\w.$]+\s*:(?!:)\s*)*", re.ASCII)
NAME: Final = re.compile(r"[\w.$]+", re.ASCII)

_COMMENT_OR_QUOTE: Final = re.compile("[/\"']")
_SAME: Final = {".endmacro": ".endm", ".rep": ".rept"}


class Statement(NamedTuple):
    """One statement: its ``line`` (from 1), the ``start`` of its text in it, and the text.

    ``mask`` is ``code`` with strings and character constants blanked.
    """

    line: int
    start: int
    code: str
    mask: str

    @property
    def body(self) -> int:
        """Where in the text what follows the labels begins."""
        return _body_and_name(self.mask)[0]

    @property
    def name(self) -> str:
        """The mnemonic or directive, in lower case."""
        return _body_and_name(self.mask)[1]


# Asked for again and again of one statement, which a matrix has in each of its codes.
@lru_cache(maxsize=1 << 12)
def _body_and_name(mask: str) -> tuple[int, str]:
    labels = LABELS.match(mask)
    assert labels is not None
    found = NAME.match(mask, labels.end())
    name = found.group().lower() if found else ""
    return labels.end(), _SAME.get(name, name)


class Refused(Exception):
    """What cannot be had, and of which statement."""

    def __init__(self, at: Statement, message: str) -> None:
        super().__init__(message)
        self.at = at


def statements_of(source: str) -> Iterator[Statement]:
    """The statements of ``source`` as they stand there, without comments and what is empty."""
    for number, (code, mask) in enumerate(blank_comments(source), start=1):
        for start, end in _statements(mask):
            if mask[start:end].strip():
                yield Statement(number, start, code[start:end], mask[start:end])


def blank_comments(source: str) -> Iterator[tuple[str, str]]:
    """Each line twice, columns kept: without comments, and without comments and strings."""
    in_comment = False
    for ended in source.split("\n"):
        line = f"{ended[:-1]} " if ended.endswith("\r") else ended
        if not in_comment:
            if line.lstrip().startswith("#"):
                yield " " * len(line), " " * len(line)
                continue
            if _COMMENT_OR_QUOTE.search(line) is None:
                yield line, line
                continue
        code, mask = list(line), list(line)
        at = 0
        while at < len(line):
            if in_comment:
                end = line.find("*/", at)
                stop, in_comment = (len(line), True) if end < 0 else (end + 2, False)
                code[at:stop] = mask[at:stop] = " " * (stop - at)
            elif line.startswith("//", at):
                stop = len(line)
                code[at:] = mask[at:] = " " * (stop - at)
            elif line.startswith("/*", at):
                stop, in_comment = at + 2, True
                code[at:stop] = mask[at:stop] = "  "
            elif line[at] in "\"'":
                stop = _quoted(line, at)
                mask[at:stop] = "_" * (stop - at)
            else:
                found = _COMMENT_OR_QUOTE.search(line, at + 1)
                stop = found.start() if found else len(line)
            at = stop
        yield "".join(code), "".join(mask)


def _quoted(line: str, at: int) -> int:
    if line[at] == '"':
        closed = re.compile(r'"(?:\\.|[^"\\])*"?').match(line, at)
    else:
        closed = re.compile(r"'(?:\\.|.)?'?").match(line, at)
    return closed.end() if closed else at + 1


def _statements(mask: str) -> Iterator[tuple[int, int]]:
    start = 0
    for separator in re.finditer(";", mask):
        yield start, separator.start()
        start = separator.end()
    yield start, len(mask)

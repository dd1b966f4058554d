"""What to do about a line that is not YAML: most often a text in it lacks its quotes.

This reads the line that a parser has refused, by the eye: it knows a key, a value, `[]` and `{}`,
and is asked for no more than a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from vcpu_scenario.language.nodes import PARAMETER

_DASHES = re.compile(r"[ ]*(?:-[ ]+)*")
_KEY = re.compile(r"[^\s\"'\[{#][^:]*?(?=[ ]*:(?:[ ]|$))")
_COLON = re.compile(r"[ ]*:(?:[ ]+|$)")
_IN_QUOTES = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'")
_VALUE_IN_QUOTES = re.compile(rf"(?<=[ \[{{])(?:{_IN_QUOTES.pattern})")
_OPEN_QUOTE = re.compile(r"(?:: |- |[\[{,] ?)[\"']")
_ENDS_TEXT = re.compile(r" *(?:[\]},]|#|$)", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|[ ])#.*")
_PIECE = re.compile(r"[^,\[\]{}]+")
_BEGINS_NO_TEXT: Final = ",[]{}#&*!|>'\"%@`"
_BEGINS_NO_TEXT_ALONE: Final = "-?:"
_LONGEST: Final = 80
_INDENTED_BY_TAB = re.compile("[ -]*\t")


def syntax_help(problem: str, line: str, column: int) -> str:
    """What mends ``line``, in which the parser found ``problem`` at ``column``; may be empty."""
    if PARAMETER in line:
        return 'within [] and {} a parameter needs quotes: "${name}"'
    if _INDENTED_BY_TAB.match(line[:column]):
        return "tabs cannot indent, write spaces"
    if "end of stream" in problem:
        return "close what is open there, such as quotes"
    if "escape character" in problem:
        return "in double quotes a backslash starts an escape: write two, or use single quotes"
    if text := quotes_missing(line, column):
        return f"quote it: {text}"
    if "mapping values" in problem:
        return "a text with `: ` in it needs quotes; an entry must be indented like those beside it"
    if "expected key" in problem:
        return "indent entries alike; a text after `|` ends at a line indented less than its first"
    return ""


def surplus(line: str) -> str:
    """The first bracket that closes none of ``line``; empty where each does."""
    depth, text = 0, _bare(line)
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if depth < 0:
            return letter
    return ""


def unclosed(lines: Sequence[str]) -> int:
    """The number of the first line with a value that begins with a quote which ends nowhere, or
    where another text begins: 0 if there is none. One that ends with a later line is a text of
    several lines."""
    text, starts = "\n".join(lines), [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    ended = 0
    for number, line in enumerate(lines, 1):
        opens = _OPEN_QUOTE.search(_bare(line)) if starts[number - 1] >= ended else None
        if opens is None:
            continue
        ended = text.find(opens[0][-1], starts[number]) + 1
        if not ended or not _ENDS_TEXT.match(text, ended):
            return number
    return 0


class Bracket(NamedTuple):
    letter: str
    line: int
    column: int


def last_open(lines: Sequence[str]) -> Bracket | None:
    """The bracket in which the text ends, which nothing closes; line and column count from 1."""
    depth = 0
    for number in range(len(lines), 0, -1):
        bare = _bare(lines[number - 1])
        for at in range(len(bare) - 1, -1, -1):
            depth += (bare[at] in "]}") - (bare[at] in "[{")
            if depth < 0:
                return Bracket(bare[at], number, at + 1)
    return None


def _bare(line: str) -> str:
    """The line with blanks for what stands in quotes, and without its comment."""
    return _COMMENT.sub("", _VALUE_IN_QUOTES.sub(lambda found: " " * len(found[0]), line))


class _Text(NamedTuple):
    start: int
    text: str


def quotes_missing(line: str, column: int) -> str:
    """The text around ``column`` of ``line`` in quotes, ``">=5.11"``; empty where it has them,
    needs none, or is too long to be shown. Columns count from 1."""
    at = column - 1
    around = [found for found in _texts(line) if found.start <= at <= found.start + len(found.text)]
    if not around or not _needs_quotes(around[-1].text) or len(around[-1].text) > _LONGEST:
        return ""
    return _in_quotes(around[-1].text)


def _texts(line: str) -> Iterator[_Text]:
    """The keys and values of ``line`` that do not stand in quotes from end to end."""
    start = _end(_DASHES, line, 0)
    key = _KEY.match(line, start)
    if key is not None:
        yield _Text(start, key.group())
        start = _end(_COLON, line, key.end())
    end = start
    if line[start : start + 1] in ("[", "{"):
        inner, end = _flow(line, start)
        yield from inner
    elif whole := _IN_QUOTES.match(line, start):
        end = whole.end()
    if _COMMENT.sub("", line[end:]).strip():
        yield _Text(start, _COMMENT.sub("", line[start:]).rstrip())


def _flow(line: str, start: int) -> tuple[list[_Text], int]:
    """The texts in the brackets that open at ``start``, and where these end."""
    found: list[_Text] = []
    depth, at = 0, start
    while at < len(line):
        if line[at] in "[]{}":
            depth += 1 if line[at] in "[{" else -1
            at += 1
            if depth == 0:
                break
        elif line[at] in ", ":
            at += 1
        elif whole := _IN_QUOTES.match(line, at) or _COLON.match(line, at):
            at = whole.end()
        else:
            piece = _PIECE.match(line, at)
            assert piece is not None
            found += _pair(at, piece.group())
            at = piece.end()
    return found, at


def _pair(start: int, piece: str) -> Iterator[_Text]:
    key, colon, value = piece.partition(": ")
    yield _Text(start, key.rstrip())
    if colon and value.strip():
        blanks = len(value) - len(value.lstrip())
        yield _Text(start + len(key) + len(colon) + blanks, value.strip())


def _end(pattern: re.Pattern[str], line: str, start: int) -> int:
    found = pattern.match(line, start)
    return found.end() if found else start


def _needs_quotes(text: str) -> bool:
    alone = text[0] in _BEGINS_NO_TEXT_ALONE and text[1:2] in ("", " ")
    return alone or text[0] in _BEGINS_NO_TEXT or ": " in text or text.endswith(":")


def _in_quotes(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'

"""C as text: comments, strings, numbers, names."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

WIDTH: Final = 80
_TAB: Final = 8
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*")
_QUOTED: Final = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/', re.DOTALL)


def comment(text: str) -> list[str]:
    """``text`` as a comment, on one line where it fits. Blank lines part paragraphs."""
    safe = plain(text).replace("*/", "* /").replace("/*", "/ *").strip()
    width = WIDTH - len(" * ")
    if "\n" not in safe and len(safe) <= width - len("/* "):
        return [f"/* {safe} */"]
    lines = ["/*"]
    for number, paragraph in enumerate(safe.split("\n\n")):
        lines += [" *"] if number else []
        wrapped = textwrap.wrap(
            " ".join(paragraph.split()), width, break_long_words=False, break_on_hyphens=False
        )
        lines += [f" * {line}" for line in wrapped]
    return [*lines, " */"]


def plain(text: str) -> str:
    """``text`` in ASCII, without what does not print: it goes into a source file."""
    return "".join(
        char if char == "\n" or " " <= char <= "~" else " " if char == "\t" else ascii(char)[1:-1]
        for char in text
    )


def string(text: str) -> str:
    """``text`` as a literal; what is not ASCII as its bytes in octal, which end by themselves."""
    return f'"{"".join(map(_escaped, text.encode("utf-8", "surrogateescape")))}"'


def _escaped(byte: int) -> str:
    char = chr(byte)
    if char in '"\\':
        return f"\\{char}"
    return char if char == "\t" or " " <= char <= "~" else f"\\{byte:03o}"


def literal(data: bytes) -> str:
    """``data`` as a literal in which one reads what is ASCII, of several lines where it is long."""
    lines = [data[at : at + _TEXT_LINE] for at in range(0, len(data), _TEXT_LINE)] or [b""]
    return "\n\t\t".join(f'"{"".join(map(_escaped, line))}"' for line in lines)


_TEXT_LINE: Final = 20
_IN_A_LINE: Final = 8
"""Bytes of a literal."""


def byte_string(data: bytes) -> str:
    """``data`` as a literal of hexadecimal bytes, of several lines where it is long."""
    lines = [data[start : start + _IN_A_LINE] for start in range(0, len(data), _IN_A_LINE)] or [b""]
    return "\n\t\t".join(f'"{"".join(map(_as_hexadecimal, line))}"' for line in lines)


def _as_hexadecimal(byte: int) -> str:
    return f"\\x{byte:02x}"


def number(value: int) -> str:
    """Small numbers in decimal, others in hexadecimal."""
    return str(value) if -1 <= value < 10 else f"{value:#x}"


def words_of(text: str) -> frozenset[str]:
    """The words of a list that is written as text."""
    return frozenset(text.split())


def identifier(text: str) -> str:
    """``text`` with what no identifier has replaced; never empty."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return f"_{name}" if not name or name[0].isdigit() else name


def identifiers(text: str) -> set[str]:
    """The identifiers in C, those in strings and comments left out."""
    return set(_IDENTIFIER.findall(_QUOTED.sub(" ", text)))


_SYMBOL: Final = re.compile(
    r"^(?:static|extern)\s[^=;{(]*?(\w+)(?:\[\w*\])*\s*[=;,(]|\b(\w+)\s*\(|^\}\s*(\w+)\[",
    re.MULTILINE,
)


def symbols(text: str) -> set[str]:
    """What the assembler may see of C: functions and data, defined or called."""
    found = _SYMBOL.findall(_QUOTED.sub(" ", text))
    return {name for names in found for name in names if name}


_CALL_WIDTH: Final = 60


def call(name: str, *arguments: str) -> str:
    """A call within another, broken before its last argument where it is long."""
    *before, last = arguments
    start = f"{name}({', '.join(before)},"
    between = "\n\t\t" if len(start) + len(last) > _CALL_WIDTH else " "
    return f"{start}{between}{last})"


def joined(terms: Iterable[str], head: str, tail: str, operator: str = "&&") -> list[str]:
    """``head term && term tail``, broken before ``WIDTH`` with the terms under each other."""
    terms = list(terms)
    one = f"{head}{f' {operator} '.join(terms)}{tail}"
    if len(one.expandtabs(_TAB)) <= WIDTH or len(terms) < 2:
        return [one]
    column = len(head.expandtabs(_TAB))
    indent = "\t" * (column // _TAB) + " " * (column % _TAB)
    lines = [f"{indent}{term} {operator}" for term in terms]
    lines[0] = head + lines[0].removeprefix(indent)
    lines[-1] = f"{indent}{terms[-1]}{tail}"
    return lines


def paragraphs(chunks: Iterable[str]) -> str:
    """Definitions with a blank line between them; those of one line that are alike stand
    together."""
    out: list[str] = []
    for chunk in chunks:
        if out and _kind(chunk) and _kind(chunk) == _kind(out[-1]):
            out[-1] += f"\n{chunk}"
        else:
            out.append(chunk)
    return "\n\n".join(out)


def _kind(chunk: str) -> str:
    """``static`` for data without a value, empty for all else."""
    lines = chunk.split("\n")
    return "static" if all(re.match(r"static [^=(]*;$", line) for line in lines) else ""


def function(head: str, body: Iterable[str]) -> list[str]:
    """A function with ``body``, whose lines are not yet indented."""
    return [head, "{", *indented(body), "}"]


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"\t{line}" if line and not line.startswith("#") else line for line in lines)

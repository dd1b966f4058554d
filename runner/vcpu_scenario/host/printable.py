"""Text that others wrote, made fit for a terminal and for the log of a CI job.

File names, titles and data come from files that may be a stranger's. What they hold must not act:
not on a terminal (control characters, marks of direction), and not on the service that reads a
job's log, where a line that begins with ``::`` or has ``##[`` in it can be a command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

_PLAIN: Final = re.compile(r"[^ -~\n\t]+")
_NOT_ASCII: Final = re.compile(r"[^ -~\n]+")
_STYLE: Final = re.compile(r"\x1b\[[0-9;]{0,20}m")
_COMMAND: Final = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_OLD_COMMAND: Final = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))")


def printable(text: object) -> str:
    """``text`` on one line, with whatever does not print escaped, as in a Python string."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def tamed(text: str) -> str:
    """``text`` of several lines, such that it does nothing but be read.

    Line breaks, tabs and the colours of :mod:`vcpu_scenario.report.styled` are kept.
    """
    return quiet("".join(_tamed_parts(text)) if not text.isascii() or _PLAIN.search(text) else text)


def _tamed_parts(text: str) -> list[str]:
    parts = []
    at = 0
    for style in _STYLE.finditer(text):
        parts += [_escaped(text[at : style.start()]), style[0]]
        at = style.end()
    return [*parts, _escaped(text[at:])]


def _escaped(text: str) -> str:
    return _PLAIN.sub(
        lambda found: found[0] if found[0] == "\r" and _ends_line(found) else printable(found[0]),
        text,
    )


def _ends_line(found: re.Match[str]) -> bool:
    return found.string[found.end() : found.end() + 1] == "\n"


def quiet(text: str) -> str:
    """``text`` in which no line is a command of a CI service."""
    if "::" in text:
        text = _COMMAND.sub(r"\1\\x3a", text)
    return _OLD_COMMAND.sub(r"\\x23", text) if "##" in text else text


def json_text(document: Any, *, indent: int | None = 1) -> str:
    """``document`` as JSON that any program reads and no terminal acts on, with a line break."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if not text.isascii() or "\x7f" in text:
        text = _NOT_ASCII.sub(_json_escaped, text)
    return _OLD_COMMAND.sub(r"\\u0023", text) + "\n"


def _json_escaped(found: re.Match[str]) -> str:
    text = found[0]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``did you mean `...`?`` for the candidate closest to ``word``, or nothing."""
    import difflib  # costs a few milliseconds that only a faulty file shall pay

    folded = {candidate.lower(): candidate for candidate in islice(candidates, 500)}
    close = difflib.get_close_matches(word.lower()[:200], folded, n=1, cutoff=0.6)
    return f"did you mean `{printable(folded[close[0]])}`?" if close else ""


_MEANT: Final = re.compile(
    r"""(?:(?:did you mean|write) `([^`\\]+)`[?;,].*|quote it: ("[^"\\]*"))\Z""", re.DOTALL
)


def meant(help_: str) -> str:
    """What the word should be by a help such as :func:`did_you_mean` gives, or nothing."""
    found = _MEANT.match(help_)
    return (found[1] or found[2]) if found is not None else ""

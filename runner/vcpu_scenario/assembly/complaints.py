"""What an assembler complains of: GNU as and LLVM each in a form of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct


class Complaint(Struct, frozen=True):
    """``line`` of the text given to the assembler, 0 if it named none; columns from 1."""

    line: int
    column: int | None
    message: str
    hint: str = ""


_GNU = re.compile(r"^\{standard input\}:(?:(\d+):)? (Error|Fatal error|Warning|Info): ?(.*)$")
# GNU as continues with other data than were written, where LLVM does not.
_GNU_FATAL = re.compile(r"truncated")


def read_gnu(complaint: str) -> Iterator[Complaint]:
    pending: Complaint | None = None
    suggested = False
    for found in filter(None, map(_GNU.match, complaint.splitlines())):
        line, kind, message = int(found[1] or 0), found[2], found[3].strip()
        if kind == "Info":
            if suggested and pending and not pending.hint:
                hint = f"did you mean `{' '.join(message.split())}`?"
                pending = Complaint(pending.line, None, pending.message, hint)
            suggested = message == "did you mean this?"
            continue
        if pending:
            yield pending
            pending = None
        if kind == "Warning" and not _GNU_FATAL.search(message):
            continue
        # The statement it quotes is what the caret will be under.
        pending = Complaint(line, None, re.sub(r" -- `.*'$", "", message))
    if pending:
        yield pending


_LLVM = re.compile(r"^(<[^>]+>|-):(\d+):(\d+): (error|fatal error|note): (.*)$")


def read_llvm(complaint: str) -> Iterator[Complaint]:
    in_macro = ""
    for found in filter(None, map(_LLVM.match, complaint.splitlines())):
        where, line, column, kind, message = found.groups()
        if kind == "note":
            if in_macro and message.startswith("while in macro") and where != "<instantiation>":
                yield Complaint(int(line), None, *_split_hint(in_macro))
                in_macro = ""
        elif where == "<instantiation>":
            in_macro = message
        else:
            yield Complaint(int(line), int(column), *_split_hint(message))


def _split_hint(message: str) -> tuple[str, str]:
    text, _, hint = message.partition(", did you mean: ")
    return text, f"did you mean {hint}" if hint else ""


def unknown_architecture(complaint: str) -> bool:
    """Whether the assembler knows no architecture of the name that it was given."""
    # Of a line alone: what LLVM says when it dies repeats its arguments.
    return any(
        "-march=" in line
        and re.search(r"error: .*(not support|unsupported|unknown|unrecognized)", line, re.I)
        for line in complaint.split("\n")
    )

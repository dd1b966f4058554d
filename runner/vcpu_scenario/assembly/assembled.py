"""What assembling gives: guest code at its address, or the problems of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

MAX_PROBLEMS = 100


class Assembled(Struct, frozen=True):
    """Guest code at its address.

    ``symbols`` are labels and absolute constants (``.equ``); ``lines`` maps the address of each
    instruction, and of the first bytes of every other statement, to the line of the source it
    comes from, counted from 1. Instructions of a macro map to the macro's body.
    """

    code: bytes
    symbols: Mapping[str, int]
    lines: Mapping[int, int]


class Problem(Struct, frozen=True, order=True):
    """``line`` and ``column`` count from 1 in the source as it was given."""

    line: int
    column: int
    message: str
    hint: str = ""


class AssemblerError(ValueError):
    """The source does not assemble; ``problems`` are all there are, in the source's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))[:MAX_PROBLEMS]
        super().__init__("; ".join(f"{p.line}:{p.column}: {p.message}" for p in self.problems))


class NoAssembler(RuntimeError):
    """There is no assembler, or not the one asked for; the message says what to install."""


class GivenUp(AssemblerError):
    """The assembler did not end in its time, and was ended."""

"""Names of devices, and of their registers, in assembly source: written out as addresses.

What the source itself gives a meaning stays as it is: a name that is a label, a constant, a macro
or a mnemonic there, or that every A64 assembler knows, stands for no device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.assembly.assembled import Assembled, AssemblerError
from vcpu_scenario.assembly.text import LABELS, NAME, blank_comments

_REGISTER: Final = r"(?:[ \t]*\+[ \t]*([A-Z][A-Z0-9_]*)(?![\w.$]))?"
_DEFINED: Final = re.compile(
    r"(?<![\w.$])([\w.$]+)\s*(?::|=(?!=)|\.req\b)|\.(?:equ|set|equiv|eqv|macro|irpc?|unreq)\s+([\w.$]+)",
    re.IGNORECASE,
)
_OF_SYMBOLS: Final = re.compile(
    r"\.(?:ifn?def|ifnotdef|globa?l|local|weak|hidden|protected|internal|extern|type|size|comm"
    r"|lcomm|symver|section|pushsection|arch|arch_extension|cpu)\b",
    re.IGNORECASE,
)
"""Directives whose operands are names, not values."""
_KNOWN: Final = re.compile(
    r"[wxbhsdqv](?:[12]?\d|3[01])|w?sp|[wx]zr|lr|fp|ip[01]|nzcv|daif|spsel"
    r"|ls[lr]|asr|ror|msl|mul|[su]xt[bhwx]"
    r"|eq|ne|[ch]s|[cl]o|lo|mi|pl|v[sc]|hi|l[st]|g[et]|le|al|nv"
    r"|sy|ish|ishld|ishst|nsh|nshld|nshst|osh|oshld|oshst|ld|st|pld\w+|pli\w+|pst\w+",
    re.IGNORECASE,
)
"""Registers, shifts, conditions, barriers and prefetches."""


class Names(NamedTuple):
    """Addresses by name, and the addresses of registers by the name of their device."""

    addresses: Mapping[str, int]
    registers: Mapping[str, Mapping[str, int]]


class Edit(NamedTuple):
    """A number in place of a name: its columns in the new text, from 1, and by how much what comes
    behind it has been moved to the right."""

    first: int
    end: int
    by: int


class Named(Struct, frozen=True):
    """``text`` is the source with numbers for names; ``edits`` are where they stand, by line (from
    1) and from left to right."""

    text: str
    edits: Mapping[int, tuple[Edit, ...]]

    def column(self, line: int, column: int) -> int:
        """The column that one of ``text`` has in the source; all of a number has that of its
        name."""
        moved = 0
        for edit in self.edits.get(line, ()):
            if column < edit.end:
                return min(column, edit.first) - moved
            moved += edit.by
        return column - moved


def in_source(failure: Assembled | Exception, named: Named) -> Assembled | Exception:
    """What assembling ``named`` gave, its problems at their columns in the source itself."""
    if not isinstance(failure, AssemblerError):
        return failure
    return type(failure)(
        replace(problem, column=named.column(problem.line, problem.column))
        for problem in failure.problems
    )


def with_names(source: str, names: Names) -> Named:
    """The source with an address for each name of a device, ``uart``, and of a register of one,
    ``uart+FR``, that stands where a value may."""
    edits: dict[int, tuple[Edit, ...]] = {}
    if not any(name in source for name in names.addresses):
        return Named(source, edits)
    lines = source.split("\n")
    masks = [mask for _, mask in blank_comments(source)]
    free = _free(masks, names)
    if free:
        pattern = _pattern(tuple(sorted(free)))
        for number, mask in enumerate(masks, start=1):
            made = _Line(lines[number - 1])
            for match in _values(mask, pattern):
                made.replace(match, _address(match, names))
            if made.edits:
                lines[number - 1] = made.finish()
                edits[number] = tuple(made.edits)
    return Named("\n".join(lines), edits)


def names_defined(source: str) -> set[str]:
    """The labels, constants and macros of a source, by a look at its text alone."""
    masks = (mask for _, mask in blank_comments(source))
    return {name for mask in masks for name in _defined(mask)}


def _defined(mask: str) -> Iterator[str]:
    for found in _DEFINED.finditer(mask):
        yield found[1] or found[2]


def _free(masks: list[str], names: Names) -> set[str]:
    """The names that the source gives no meaning of its own."""
    free = {name for name in names.addresses if not is_word_of_assembly(name)}
    for mask in masks if free else ():
        free.difference_update(_defined(mask))
        for statement in mask.split(";"):
            labels = LABELS.match(statement)
            first = NAME.match(statement, labels.end() if labels else 0)
            if first is not None:
                free.discard(first[0])
    return free


def is_word_of_assembly(name: str) -> bool:
    """Whether every assembler takes ``name`` for a register or the like."""
    return _KNOWN.fullmatch(name) is not None


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    any_name = "|".join(map(re.escape, names))
    return re.compile(rf"(?<![\w.$@\\])({any_name})(?![\w.$]){_REGISTER}")


def _values(mask: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    at = 0
    for statement in mask.split(";"):
        end = at + len(statement)
        labels = LABELS.match(mask, at, end)
        body = labels.end() if labels else at
        if not _OF_SYMBOLS.match(mask, body):
            yield from pattern.finditer(mask, body, end)
        at = end + 1


def _address(match: re.Match[str], names: Names) -> tuple[int, int]:
    """Where the name ends in the match, and the address that it stands for."""
    name, register = match.groups()
    known = names.registers.get(name, {})
    if register in known:
        return match.end(), known[register]
    return match.end(1), names.addresses[name]


class _Line:
    """A line in which names are replaced, from left to right."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._parts: list[str] = []
        self._length = 0
        self.edits: list[Edit] = []

    def replace(self, match: re.Match[str], value: tuple[int, int]) -> None:
        end, address = value
        number = f"{address:#x}"
        self._write(self._line[self._at : match.start()])
        first = self._length + 1
        self._write(number)
        self.edits.append(Edit(first, self._length + 1, len(number) - (end - match.start())))
        self._at = end

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def finish(self) -> str:
        return "".join((*self._parts, self._line[self._at :]))

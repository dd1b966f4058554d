"""Guest code from assembly source: words, symbols and a line map.

    >>> assemble("start: mov x0, #1\\n b start", 0x40000000).symbols
    mappingproxy({'start': 1073741824})

Any of four assemblers will do and all give the same result; see :mod:`.assemblers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vcpu_scenario.assembly.assembled import (
    Assembled,
    AssemblerError,
    GivenUp,
    NoAssembler,
    Problem,
)
from vcpu_scenario.assembly.source import Position, Prepared, prepare
from vcpu_scenario.assembly.text import blank_comments

if TYPE_CHECKING:
    from vcpu_scenario.assembly.assemblers import Assembler
    from vcpu_scenario.assembly.complaints import Complaint
    from vcpu_scenario.assembly.process import Call

__all__ = [
    "Assembled",
    "AssemblerError",
    "NoAssembler",
    "Problem",
    "assemble",
    "assemble_with",
    "begin",
]


def assemble(source: str, base: int, begun: Call | None = None) -> Assembled:
    """Assemble ``source`` to run at address ``base``; :func:`begin` may have ``begun`` with it.

    Raises :class:`AssemblerError`, and :class:`NoAssembler` where none is installed.
    """
    # Not before it is needed: a run from kept words must not pay for what only assembling needs.
    from vcpu_scenario.assembly.assemblers import choose

    return assemble_with(choose(), source, base, begun)


_known: dict[tuple[Assembler, str, int], Assembled] = {}
_MOST_KNOWN = 256


def assemble_with(
    assembler: Assembler, source: str, base: int, begun: Call | None = None
) -> Assembled:
    """:func:`assemble` with one assembler in particular, which may have ``begun`` with it."""
    key = assembler, source, base
    made = _known.get(key)
    if made is None:
        made = _assembled(assembler, source, base, begun)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = made
    return made


def begin(source: str, base: int) -> Call | None:
    """An assembler at work on ``source``, for :func:`assemble`; None where it is not needed.

    Raises :class:`NoAssembler`.
    """
    from vcpu_scenario.assembly.assemblers import choose

    assembler = choose()
    prepared = prepare(source)
    known = bool(prepared.refused) or (assembler, source, base) in _known
    return None if known else assembler.begin(prepared.text)


def _assembled(assembler: Assembler, source: str, base: int, begun: Call | None) -> Assembled:
    prepared = prepare(source)
    if prepared.refused:
        raise AssemblerError(Problem(p.line, p.column, message) for p, message in prepared.refused)
    output = assembler.run(prepared.text, begun)
    if output.object is None:
        failure = GivenUp if output.given_up else AssemblerError
        raise failure(_problems(source, prepared, output.diagnostics))
    from vcpu_scenario.assembly.objectfile import MisfitError, place

    try:
        return place(output.object, base, prepared)
    except MisfitError as misfit:
        raise AssemblerError(
            Problem(p.line, p.column, message, hint) for p, message, hint in misfit.problems
        ) from None


def _problems(source: str, prepared: Prepared, diagnostics: Iterable[Complaint]) -> list[Problem]:
    placed, elsewhere = [], []
    for found in diagnostics:
        position = prepared.place(found.line, found.column)
        if position is None:
            position = _named(source, found.message) if found.line == 0 else None
        text = found.message, found.hint
        if position is None:
            elsewhere.append(Problem(1, 1, *text))
        else:
            placed.append(Problem(position.line, position.column, *text))
    # What has no place in the source follows from what has one, if anything has.
    return placed or elsewhere


def _named(source: str, message: str) -> Position | None:
    """Where the message has no line but quotes a name: where the source mentions it."""
    for name in re.findall(r"[`'\"]([\w.$]+)[`'\"]", message):
        pattern = rf"(?<![\w.$]){re.escape(name)}{'f' if name.isdigit() else ''}(?![\w.$])"
        mentions = [
            Position(number, found.start() + 1)
            for number, (_, mask) in enumerate(blank_comments(source), start=1)
            for found in re.finditer(pattern, mask)
        ]
        if mentions:
            # A numeric label may be there for the uses before, and missing for the last.
            return mentions[-1] if name.isdigit() else mentions[0]
    return None

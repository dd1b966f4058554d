"""Faults of a scenario as they are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.language.nodes import Node, is_faulty
from vcpu_scenario.source import Diagnostic, Span, did_you_mean

Near: TypeAlias = tuple[str, Iterable[str]]
"""A word, and those among which the one that was meant may be."""


class Problems:
    """Diagnostics as they are found, none of them twice, and no more than anyone would read."""

    LIMIT: Final = 200
    HINTS: Final = 50
    """Finding a word that is close takes longer than finding the fault."""

    def __init__(self, found: Iterable[Diagnostic] = ()) -> None:
        self._found: dict[tuple[Span, str], Diagnostic] = {}
        self._dropped = 0
        self.reports = 0
        """How often a fault was reported."""
        self.parameterised: set[Span] = set()
        """The text in which parameters stand."""
        self.parameters = ""
        """The values that they have just now."""
        self.case = ""
        """The case for which a clause with conditions is being read."""
        self.renamed: dict[Span, str] = {}
        """Keys of older forms of the language, by their place: all of them, reported or not."""
        self.said_twice: list[Diagnostic] = []
        """What is wrong with such keys that stand beside those of their present names."""
        for diagnostic in found:
            self.take(diagnostic)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[Diagnostic]:
        yield from self._found.values()
        if self._dropped:
            last = max(self._found.values(), key=lambda diagnostic: diagnostic.place)
            message = f"there are {self._dropped} faults more, which are not shown"
            yield Diagnostic(message, last.span)

    def __len__(self) -> int:
        return len(self._found)

    def took_from(self, node: Node | None) -> bool:
        """Whether something was taken out within ``node``, which is never done untold."""
        return bool(self._found or self.renamed) and is_faulty(node)

    def add(
        self,
        message: str,
        at: Span,
        *,
        found: str = "",
        expected: str = "",
        help: str = "",
        near: Near | None = None,
    ) -> None:
        """Reports a fault; a word close to that of ``near`` makes a better ``help``."""
        if near is not None and len(self._found) < self.HINTS:
            help = did_you_mean(*near) or help
        self.take(Diagnostic(message, at, found, expected, help))

    def take(self, diagnostic: Diagnostic) -> None:
        self.reports += 1
        if len(self._found) >= self.LIMIT:
            self._dropped += _key(diagnostic) not in self._found
            return
        if self.parameters and self._is_parameterised(diagnostic.span):
            found = ", ".join(filter(None, (diagnostic.found, f"with {self.parameters}")))
            diagnostic = replace(diagnostic, found=found)
        self._found.setdefault(_key(diagnostic), diagnostic)

    def blames_parameters(self) -> bool:
        """Whether something is wrong where a parameter stands: its value may be another one than
        was meant, and missing where that is asked for."""
        return any(self._is_parameterised(diagnostic.span) for diagnostic in self)

    def _is_parameterised(self, span: Span) -> bool:
        start = span.line, span.column
        return any(
            (text.line, text.column) <= start <= (text.end_line, text.end_column)
            for text in self.parameterised
        )


def _key(diagnostic: Diagnostic) -> tuple[Span, str]:
    return diagnostic.span, diagnostic.message

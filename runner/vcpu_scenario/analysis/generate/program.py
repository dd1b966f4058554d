"""A program under construction: words, labels, and branches to labels that come later."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from vcpu_scenario.case import Load

Fixup = Callable[[int], int]
"""Makes the word from the distance to its label."""


class Program:
    """Code that starts at ``base``."""

    def __init__(self, base: int) -> None:
        self.base = base
        self._words: list[int] = []
        self._labels: dict[str, int] = {}
        self._fixups: list[tuple[int, str, Fixup]] = []
        self._gaps: list[tuple[int, int]] = []
        self._names = 0

    @property
    def here(self) -> int:
        return self.base + 4 * len(self._words)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return 4 * len(self._words)

    def emit(self, *words: int) -> None:
        self._words += words

    def label(self, name: str) -> int:
        self._labels[name] = self.here
        return self.here

    def fresh(self) -> str:
        """A name that no label has."""
        self._names += 1
        return f".{self._names}"

    def to(self, label: str, fixup: Fixup) -> None:
        """Emit a word that depends on how far ``label`` is."""
        self._fixups.append((len(self._words), label, fixup))
        self.emit(0)

    def align(self, size: int) -> None:
        """Goes on at a multiple of ``size``; what lies between is not loaded."""
        self._gaps.append((len(self._words), -self.here % size // 4))
        while self.here % size:
            self.emit(0)

    def quads(self, values: Iterable[int]) -> None:
        for value in values:
            self.emit(value & 0xFFFF_FFFF, value >> 32)

    def address(self, label: str) -> int:
        return self._labels[label]

    def loads(self) -> tuple[Load, ...]:
        """The code with every label known, a load for each stretch without a gap."""
        words = list(self._words)
        for index, label, fixup in self._fixups:
            words[index] = fixup(self._labels[label] - (self.base + 4 * index))
        found, start = [], 0
        for gap, length in (*self._gaps, (len(words), 0)):
            if gap > start:
                data = struct.pack(f"<{gap - start}I", *words[start:gap])
                found.append(Load(self.base + 4 * start, data))
            start = gap + length
        return tuple(found)

"""The regions of Unicorn's memory map.

Each region makes every later change of the map slower, so that pages beside each other, which
stage 2 maps one by one, are one region as soon as they are alike: two of a size that are aligned to
twice that.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple

from vcpu_scenario.machine.emulated.cpu.engine import Engine

PAGE = 4096
BLOCK = 2 << 20
"""No region becomes larger than this by joining."""
_MANY = 256
"""So many regions cost more than to translate code again."""


class _Region(NamedTuple):
    size: int
    prot: int
    memory: int
    """The host's address less the guest's: those of one slot have the same."""


class Regions:
    """All of an address space. ``code`` has the pages, by their numbers, that Unicorn has
    translated code of: it keeps that of memory that is there no more."""

    def __init__(self, engine: Engine, drop_code: Callable[[int, int], None]) -> None:
        """``drop_code`` makes Unicorn forget what it translated from between two addresses."""
        self._engine = engine
        self._drop_code = drop_code
        self._at = dict[int, _Region]()

    def map(self, base: int, size: int, prot: int, address: int, code: Set[int]) -> None:
        """Maps a page or block that is not mapped to the host's ``address``. Unless there are many
        regions, what beside it has code stays as it is, with what was translated of it."""
        region = _Region(size, prot, address - base)
        while region.size < BLOCK:
            beside = base ^ region.size
            if self._at.get(beside) != region:
                break
            if len(self._at) < _MANY and _has(code, beside, region.size):
                break
            self._take_out(beside, code)
            base &= ~region.size
            region = region._replace(size=2 * region.size)
        self._add(base, region)

    def unmap(self, base: int, size: int, code: Set[int]) -> None:
        """Unmaps a page or block that is mapped, alone or with others beside it."""
        start = base & -size
        whole = size
        while (region := self._at.get(start)) is None or region.size != whole:
            whole *= 2
            start = base & -whole
        self._take_out(start, code)
        while region.size > size:
            region = region._replace(size=region.size // 2)
            other = base & -region.size
            self._add(other ^ region.size, region)

    def unmap_all(self, base: int, end: int, code: Set[int]) -> None:
        """Unmaps all that is mapped between the two addresses, where no region crosses either."""
        for start in [start for start in self._at if base <= start < end]:
            self._take_out(start, code)

    def _add(self, base: int, region: _Region) -> None:
        self._at[base] = region
        self._engine.map_ptr(base, region.size, region.prot, base + region.memory)

    def _take_out(self, start: int, code: Set[int]) -> None:
        size = self._at.pop(start).size
        if _has(code, start, size):
            self._drop_code(start, start + size)
        self._engine.unmap(start, size)


def _has(code: Set[int], base: int, size: int) -> bool:
    return bool(code) and not code.isdisjoint(range(base // PAGE, (base + size) // PAGE))

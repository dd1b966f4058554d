"""The tables of stage 2, with a granule of 4 KiB: at which level a walk ends for want of one."""

from __future__ import annotations

_SHIFTS = 39, 30, 21
"""What one table of level 1, 2 and 3 translates, in bits of an address."""


class Tables:
    """Those below the first level, which is always there."""

    def __init__(self) -> None:
        self.first_level = 1
        """Where a walk begins, 0 or 1."""
        self._by_level = tuple((shift, set[int]()) for shift in _SHIFTS)

    def add(self, base: int, size: int) -> None:
        """Makes those that a page or block of that size needs."""
        for shift, tables in self._by_level:
            if size < 1 << shift:
                tables.add(base >> shift)

    def clear(self) -> None:
        for _, tables in self._by_level:
            tables.clear()

    def last_level(self, ipa: int) -> int:
        """The level of the last table on the way to ``ipa``."""
        level = self.first_level
        for shift, tables in self._by_level[level:]:
            if ipa >> shift not in tables:
                break
            level += 1
        return level

"""Aligns a pattern of expectations with a sequence of what happened, at the least cost.

The pattern is a row of items, each of which comes between ``least`` and ``most`` times. The
alignment says for each thing that happened which item it is held against, and which items are
missing. It knows nothing of exits: what two things cost when held against each other is the
caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

GAP: Final = 8
"""What a missing item or an extra thing costs; a pair that costs more than two gaps is not made."""

_MOST_CELLS: Final = 1_000_000
"""Larger tables are cut short: 1,000 expected against 1,000 others says enough."""


class Item(Protocol):
    """An entry of the pattern."""

    @property
    def least(self) -> int: ...

    @property
    def most(self) -> int | None: ...


T = TypeVar("T")
I = TypeVar("I", bound=Item)  # noqa: E741  an item of the pattern

Cost = Callable[[int, int], int]
"""The cost of holding item ``i`` of the pattern against thing ``j``: 0 if it fits."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Item ``expected`` held against thing ``actual``; one of them None for a gap.

    ``before`` is the item that was due when the pair was made, the pattern's length at its end.
    """

    expected: int | None
    actual: int | None
    before: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """``pairs`` in order; ``cut`` where the sequences were too long to align to their ends."""

    pairs: tuple[Pair, ...]
    cut: bool = False


_ONCE, _OPTIONAL, _ANY = range(3)


def align(pattern: Sequence[I], count: int, cost: Cost) -> Alignment:
    """Aligns ``pattern`` with ``count`` things. Gaps come as late as the least cost allows."""
    units = _units(pattern, count)
    head = 0
    while (
        head < min(len(units), count) and units[head][1] == _ONCE and not cost(units[head][0], head)
    ):
        head += 1
    tail = 0
    while (
        head + tail < min(len(units), count)
        and units[-1 - tail][1] == _ONCE
        and not cost(units[-1 - tail][0], count - 1 - tail)
    ):
        tail += 1
    pairs = [Pair(units[n][0], n, units[n][0]) for n in range(head)]
    end = len(units) - tail
    middle, cut = _middle(units[head:end], head, count - tail, cost, _due(units, end, pattern))
    pairs += middle
    if not cut:
        for n in range(tail):
            item = units[end + n][0]
            pairs.append(Pair(item, count - tail + n, item))
    return Alignment(tuple(pairs), cut)


def prefix_costs(pattern: Sequence[I], count: int, cost: Cost) -> list[int] | None:
    """The least cost of aligning all of ``pattern`` with the first 0, 1, ... ``count`` things.

    None where the table would have to be cut short.
    """
    units = _units(pattern, count)
    if (len(units) + 1) * (count + 1) > _MOST_CELLS:
        return None
    row = [GAP * j for j in range(count + 1)]  # of the units so far: none, so all is extra
    for item, use in units:
        if use == _ANY:
            for j in range(count):
                row[j + 1] = min(row[j + 1], row[j] + min(cost(item, j), GAP))
            continue
        skip = GAP if use == _ONCE else 0
        after = [row[0] + skip]
        for j in range(count):
            after.append(min(row[j] + cost(item, j), row[j + 1] + skip, after[j] + GAP))
        row = after
    return row


def _due(units: Sequence[tuple[int, int]], at: int, pattern: Sequence[I]) -> int:
    return units[at][0] if at < len(units) else len(pattern)


def _units(pattern: Sequence[I], count: int) -> list[tuple[int, int]]:
    """(item, how it may be used) with repeats unrolled, as far as ``count`` things can need."""
    units = []
    for n, item in enumerate(pattern):
        units += [(n, _ONCE)] * item.least
        if item.most is None:
            units.append((n, _ANY))
        else:
            units += [(n, _OPTIONAL)] * min(item.most - item.least, count)
    return units


def _middle(
    units: Sequence[tuple[int, int]], first: int, last: int, cost: Cost, due_after: int
) -> tuple[list[Pair], bool]:
    rows, columns = len(units), last - first
    cut = (rows + 1) * (columns + 1) > _MOST_CELLS
    if cut:
        side = int(_MOST_CELLS**0.5)
        rows, columns = min(rows, side), min(columns, side)
        if rows < len(units):
            due_after = units[rows][0]
        units = units[:rows]
    table = _table(units, first, columns, cost)
    return _walk(units, first, columns, cost, table, due_after), cut


def _table(
    units: Sequence[tuple[int, int]], first: int, columns: int, cost: Cost
) -> list[list[int]]:
    """``table[i][j]``: the least cost of aligning units from ``i`` with things from ``j``."""
    rows = len(units)
    table = [[0] * (columns + 1) for _ in range(rows + 1)]
    table[rows] = [(columns - j) * GAP for j in range(columns + 1)]
    for i in range(rows - 1, -1, -1):
        item, use = units[i]
        row, below = table[i], table[i + 1]
        skip = GAP if use == _ONCE else 0
        row[columns] = below[columns] + skip
        for j in range(columns - 1, -1, -1):
            after = row if use == _ANY else below
            row[j] = min(after[j + 1] + cost(item, first + j), below[j] + skip, row[j + 1] + GAP)
    return table


def _walk(
    units: Sequence[tuple[int, int]],
    first: int,
    columns: int,
    cost: Cost,
    table: Sequence[Sequence[int]],
    due_after: int,
) -> list[Pair]:
    pairs: list[Pair] = []
    i = j = 0
    while i < len(units) or j < columns:
        if i == len(units):
            pairs.append(Pair(None, first + j, due_after))
            j += 1
            continue
        item, use = units[i]
        best, below = table[i][j], table[i + 1][j]
        after = table[i] if use == _ANY else table[i + 1]
        if j < columns and best == after[j + 1] + cost(item, first + j):
            pairs.append(Pair(item, first + j, item))
            i, j = (i if use == _ANY else i + 1), j + 1
        elif best == below + (GAP if use == _ONCE else 0):
            if use == _ONCE:
                pairs.append(Pair(item, None, item))
            i += 1
        else:
            pairs.append(Pair(None, first + j, item))
            j += 1
    return pairs

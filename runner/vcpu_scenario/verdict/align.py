"""Aligns a pattern of expectations with a sequence of what happened, at the least cost.

The pattern is a row of items, each of which comes between ``least`` and ``most`` times. The
alignment says for each thing that happened which item it is compared with, and which items are
missing. It knows nothing of exits: what two things cost when compared with each other is the
caller's business.

It explains, and does not decide: a table too large is cut, and the alignment says so. Whether a
pattern fits at all is told by :mod:`vcpu_scenario.verdict.consume`, for any length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.verdict.consume import Fits, Item, consumed

GAP: Final = 8
"""What a missing item or an extra thing costs; a pair that costs more than two gaps is not made."""

_MOST_CELLS: Final = 1_000_000
"""Larger tables are cut short: 1,000 expected against 1,000 others says enough."""


Cost = Callable[[int, int], int]
"""The cost of holding item ``i`` of the pattern against thing ``j``: 0 if it fits."""


class Pair(Struct, frozen=True):
    """Item ``expected`` compared with thing ``actual``; one of them None for a gap.

    ``before`` is the item that was due when the pair was made, the pattern's length at its end.
    """

    expected: int | None
    actual: int | None
    before: int


class Alignment(Struct, frozen=True):
    """``pairs`` in order; ``cut`` where the sequences were too long to align to their ends."""

    pairs: tuple[Pair, ...]
    cut: bool = False


def came_next(pairs: Sequence[Pair]) -> list[int | None]:
    """For each pair the first thing that happened in it or after it, None where nothing did."""
    out: list[int | None] = []
    came: int | None = None
    for pair in reversed(pairs):
        came = came if pair.actual is None else pair.actual
        out.append(came)
    return out[::-1]


_ONCE, _OPTIONAL, _ANY = range(3)


def align(pattern: Sequence[Item], count: int, cost: Cost, fits: Fits | None = None) -> Alignment:
    """Aligns ``pattern`` with ``count`` things. Gaps come as late as the least cost allows.

    With ``fits``, which tells where the cost is 0, what would make too large a table begins with
    as much as fits.
    """
    head = _fitting_head(pattern, count, cost)
    tail = _fitting_tail(pattern, count, cost, head)
    units, columns = _length(pattern, count) - head - tail, count - head - tail
    if (units + 1) * (columns + 1) <= _MOST_CELLS:
        return _aligned(pattern, count, cost, head, tail, units)
    taken = consumed(pattern, count, fits) if fits is not None else None
    if taken and sum(taken) > head:
        return _behind(pattern, count, cost, taken)
    side = int(_MOST_CELLS**0.5)
    rows = min(units, max(side, _MOST_CELLS // (columns + 1) - 1))
    columns = min(columns, _MOST_CELLS // (rows + 1) - 1)
    return _cut(pattern, count, cost, head, rows, columns)


def prefix_costs(pattern: Sequence[Item], count: int, cost: Cost) -> list[int] | None:
    """The least cost of aligning all of ``pattern`` with the first 0, 1, ... ``count`` things.

    None where that would take too long.
    """
    if (_length(pattern, count) + 1) * (count + 1) > _MOST_CELLS:
        return None
    row = [GAP * j for j in range(count + 1)]  # of the units so far: none, so all is extra
    for item, use in _units(pattern, count):
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


def _units(pattern: Sequence[Item], count: int) -> Iterator[tuple[int, int]]:
    """(item, how it may be used) with repeats unrolled, as far as ``count`` things can need."""
    for n, item in enumerate(pattern):
        for _ in range(item.least):
            yield n, _ONCE
        if item.most is None:
            yield n, _ANY
        else:
            for _ in range(min(item.most - item.least, count)):
                yield n, _OPTIONAL


def _length(pattern: Sequence[Item], count: int) -> int:
    """How many units there are."""
    return sum(
        item.least + (1 if item.most is None else min(item.most - item.least, count))
        for item in pattern
    )


def _fitting_head(pattern: Sequence[Item], count: int, cost: Cost) -> int:
    """How many things at the start fit units that must come just there."""
    head = 0
    for item, use in _units(pattern, count):
        if head == count or use != _ONCE or cost(item, head):
            break
        head += 1
    return head


def _fitting_tail(pattern: Sequence[Item], count: int, cost: Cost, head: int) -> int:
    """The same at the end, of what the head has left."""
    most = min(sum(item.least for item in pattern), count) - head
    tail = 0
    for n in range(len(pattern) - 1, -1, -1):
        item = pattern[n]
        for _ in range(item.least if item.most == item.least else 0):
            if tail >= most or cost(n, count - 1 - tail):
                return tail
            tail += 1
        if item.most != item.least:
            break
    return tail


def _aligned(
    pattern: Sequence[Item], count: int, cost: Cost, head: int, tail: int, length: int
) -> Alignment:
    units = list(_units(pattern, count))
    end = head + length
    due = units[end][0] if tail else len(pattern)
    middle, columns = units[head:end], count - head - tail
    table = _table(middle, head, columns, cost)
    return Alignment(
        (
            *(Pair(units[n][0], n, units[n][0]) for n in range(head)),
            *_walk(middle, head, columns, cost, table, due),
            *(Pair(units[end + n][0], count - tail + n, units[end + n][0]) for n in range(tail)),
        )
    )


def _cut(
    pattern: Sequence[Item], count: int, cost: Cost, head: int, rows: int, columns: int
) -> Alignment:
    units = list(islice(_units(pattern, count), head + rows + 1))
    due = units[head + rows][0] if head + rows < len(units) else len(pattern)
    middle = units[head : head + rows]
    table = _table(middle, head, columns, cost)
    pairs = [Pair(units[n][0], n, units[n][0]) for n in range(head)]
    return Alignment((*pairs, *_walk(middle, head, columns, cost, table, due)), cut=True)


class _Rest(Struct, frozen=True):
    """What is left of an item that has taken some things."""

    least: int
    most: int | None


def _behind(pattern: Sequence[Item], count: int, cost: Cost, taken: Sequence[int]) -> Alignment:
    """The alignment that begins with the things that the first items have ``taken``."""
    pairs: list[Pair] = []
    for n, times in enumerate(taken):
        pairs += [Pair(n, len(pairs) + j, n) for j in range(times)]
    first, done = len(taken) - 1, len(pairs)
    item = pattern[first]
    most = None if item.most is None else item.most - taken[-1]
    rest = (_Rest(max(item.least - taken[-1], 0), most), *pattern[first + 1 :])
    found = align(rest, count - done, lambda i, j: cost(first + i, done + j))
    moved = (
        replace(
            pair,
            expected=None if pair.expected is None else first + pair.expected,
            actual=None if pair.actual is None else done + pair.actual,
            before=first + pair.before,
        )
        for pair in found.pairs
    )
    return Alignment((*pairs, *moved), found.cut)


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

"""Lists of items side by side: what is the same stands once, the rest says where it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from vcpu_scenario.authoring.merging.choices import (
    ABSENT,
    NESTED,
    VALUE,
    choice,
    effort,
    in_brackets,
)
from vcpu_scenario.authoring.merging.items import PROSE, Item, put_together
from vcpu_scenario.authoring.merging.ranges import Places, Wording
from vcpu_scenario.authoring.style import WIDTH

Column = dict[int, Item]
"""The same item in several lists, by the number of the list."""


class Block(NamedTuple):
    """Lines, and what they cost who reads them."""

    lines: tuple[str, ...]
    cost: float


def aligned(lists: Mapping[int, Sequence[Item]]) -> list[Column]:
    """The lists side by side, each item in the order of its own."""
    columns: list[Column] = []
    for number, items in lists.items():
        columns = list(_with(columns, number, items))
    return columns


def _with(columns: Sequence[Column], number: int, items: Sequence[Item]) -> Iterator[Column]:
    best = _scores(columns, items)
    row, place = 0, 0
    while row < len(columns) or place < len(items):
        here = best[row][place]
        if row < len(columns) and place < len(items):
            likeness = _likeness(columns[row], items[place])
            if likeness and here == likeness + best[row + 1][place + 1]:
                yield {**columns[row], number: items[place]}
                row, place = row + 1, place + 1
                continue
        if row < len(columns) and here == best[row + 1][place]:
            yield columns[row]
            row += 1
        else:
            yield {number: items[place]}
            place += 1


def _scores(columns: Sequence[Column], items: Sequence[Item]) -> list[list[int]]:
    """The best likeness from each column and each item on."""
    best = [[0] * (len(items) + 1) for _ in range(len(columns) + 1)]
    for row in reversed(range(len(columns))):
        for place in reversed(range(len(items))):
            found = max(best[row + 1][place], best[row][place + 1])
            if likeness := _likeness(columns[row], items[place]):
                found = max(found, likeness + best[row + 1][place + 1])
            best[row][place] = found
    return best


def _likeness(column: Column, item: Item) -> int:
    """How much an item is like those in the column; 0 where it is another."""
    return max(
        (
            max(20 - _differences(known, item), 1)
            for known in column.values()
            if known.identity == item.identity
        ),
        default=0,
    )


def _differences(first: Item, second: Item) -> int:
    names = first.fields.keys() | second.fields.keys()
    return 3 * sum(first.fields.get(name) != second.fields.get(name) for name in names)


def block(
    column: Column, places: Mapping[int, Places], every: Places, wording: Wording, indent: str
) -> Block:
    """The lines of a column: one item with values by case, or several that come somewhere."""
    together = _together(column, places, every, wording, indent)
    apart = _joined(
        _item(part, part_places, every, wording, indent)
        for part, part_places in _alike(column, places).values()
    )
    return min(together, apart, key=lambda found: found.cost) if together else apart


def _alike(
    column: Column, places: Mapping[int, Places]
) -> dict[str, tuple[Column, Mapping[int, Places]]]:
    """The lists of the column by what its item is in them."""
    found: dict[str, tuple[Column, dict[int, Places]]] = {}
    for number, item in column.items():
        text = put_together(item.kind, item.fields)
        part, where = found.setdefault(text, ({}, {}))
        part[number] = item
        where[number] = places[number]
    return {text: (part, where) for text, (part, where) in found.items()}


def _together(
    column: Column, places: Mapping[int, Places], every: Places, wording: Wording, indent: str
) -> Block | None:
    kind = next(iter(column.values())).kind
    here = frozenset(place for number in column for place in places[number])
    if len(wording.conditions(here, every)) > 1:
        return None
    names = list(dict.fromkeys(name for item in column.values() for name in item.fields))
    fields, by_case = {}, 0.0
    for name in names:
        values = {
            place: item.fields.get(name)
            for number, item in column.items()
            for place in places[number]
        }
        tree = choice(values, wording, prose=name == PROSE)
        by_case += effort(tree)
        if None in values.values() and not name.startswith("regs.") and name != PROSE:
            by_case += ABSENT
        fields[name] = in_brackets(tree)
    return _lines(kind, fields, column, places, every, wording, indent, by_case)


def _item(
    column: Column, places: Mapping[int, Places], every: Places, wording: Wording, indent: str
) -> Block:
    item = next(iter(column.values()))
    return _lines(item.kind, item.fields, column, places, every, wording, indent, 0.0)


def _lines(
    kind: str,
    fields: Mapping[str, str],
    column: Column,
    places: Mapping[int, Places],
    every: Places,
    wording: Wording,
    indent: str,
    by_case: float,
) -> Block:
    here = frozenset(place for number in column for place in places[number])
    found = []
    for condition in wording.conditions(here, every):
        entries = dict(condition.entries())
        text = f"{indent}- {put_together(kind, {**fields, **entries})}"
        lines = 1 + max(len(text) - 1, 0) // WIDTH
        cost = lines + (0, VALUE, NESTED)[len(entries)] + by_case
        found.append(Block((text,), cost))
    whole = _joined(found)
    return _commented(whole, column, places, every, wording, indent)


def _joined(blocks: Iterator[Block] | Sequence[Block]) -> Block:
    found = list(blocks)
    return Block(tuple(line for one in found for line in one.lines), sum(one.cost for one in found))


def _commented(
    block: Block,
    column: Column,
    places: Mapping[int, Places],
    every: Places,
    wording: Wording,
    indent: str,
) -> Block:
    """The block with the comments of its items; each says where it is from, unless from all."""
    above = _comments({n: item.above for n, item in column.items()}, places, every, wording)
    beside = _comments({n: item.beside for n, item in column.items()}, places, every, wording)
    *lines, last = block.lines
    if len(beside) == 1 and len(last) + 2 + len(beside[0]) <= WIDTH:
        last = f"{last}  {beside[0]}"
    else:
        above += beside
    commented = (*(f"{indent}{comment}" for comment in above), *lines, last)
    return Block(commented, block.cost + len(above))


def _comments(
    found: Mapping[int, Sequence[str]],
    places: Mapping[int, Places],
    every: Places,
    wording: Wording,
) -> list[str]:
    here: Places = frozenset().union(*(places[number] for number in found))
    where: dict[str, Places] = {}
    for number, comments in found.items():
        for comment in comments:
            where[comment] = where.get(comment, frozenset()) | places[number]
    return [
        comment if at == here else _from(comment, at, every, wording)
        for comment, at in where.items()
    ]


_SAYS_WHERE: Final = re.compile(r"#\s*[<>]?=?\d[^:]*: ")
"""A comment that says already which kernels it is about."""


def _from(comment: str, at: Places, every: Places, wording: Wording) -> str:
    if _SAYS_WHERE.match(comment):
        return comment
    told = " and ".join(map(str, wording.conditions(at, every)))
    return f"# {told}: {comment.removeprefix('#').strip()}"

"""Clauses as they can be merged: where each holds, and its lists of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from vcpu_scenario.authoring.concrete import Comment, Document
from vcpu_scenario.authoring.merging.items import (
    Item,
    entry_item,
    exit_item,
    stop_item,
    with_comments,
    written,
)
from vcpu_scenario.authoring.merging.ranges import Place, Places
from vcpu_scenario.language.bycase import rewritten
from vcpu_scenario.language.conditions import Conditions, Course, read_conditions
from vcpu_scenario.language.model import Scenario
from vcpu_scenario.language.nodes import Map, Node, Scalar, entries_of, items_of
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.seen import Seen
from vcpu_scenario.language.variants import places_of

LISTS = {"exits": exit_item, "never": exit_item, "stops": stop_item}
"""The lists of a clause, and what their items are."""


class Part(Struct, frozen=True):
    """What a clause is at ``places``: all of it, or where some of its conditions hold."""

    places: Places
    when: str
    about: str | None
    lists: Mapping[str, tuple[Item, ...]]
    final: Mapping[str, str]
    """Its values, by ``regs.x1``, ``eventfd.bell``, ``output.uart``."""
    memory: Mapping[tuple[str, str], str]
    """The bytes in memory, by address and notation."""
    ring: tuple[Item, ...] | None


class Clause(NamedTuple):
    """``parts`` are empty where it cannot be merged; ``lines`` are those of its text."""

    parts: tuple[Part, ...]
    lines: tuple[str, ...]


class Fixed(Exception):
    """A clause says something that no merged one can."""


def clauses_of(document: Document, root: Map, scenario: Scenario) -> list[Clause]:
    """The clauses of a scenario, of which ``document`` is the text and ``root`` what it means."""
    expect = root.get("expect")
    nodes = items_of(expect)
    lines = list(document.lines)
    reader = _Reader(scenario, list(document.comments), lines)
    bounds = [_first_line(node, lines) for node in nodes]
    bounds.append(_behind(nodes[-1], lines) if nodes else 0)
    return [
        Clause(tuple(reader.parts(number, node)), tuple(lines[bounds[number] : bounds[number + 1]]))
        for number, node in enumerate(nodes)
    ]


def _first_line(node: Node, lines: Sequence[str]) -> int:
    first = node.span.line - 1
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first


def _behind(node: Node, lines: Sequence[str]) -> int:
    end = node.span.end_line
    while end > node.span.line and not lines[end - 1].strip():
        end -= 1
    return end


class _Reader(Struct, frozen=True):
    scenario: Scenario
    comments: list[Comment]
    lines: list[str]

    def parts(self, number: int, node: Node) -> Iterator[Part]:
        if not isinstance(node, Map):
            return
        conditions = read_conditions(node, None, None, Problems())
        if any(selector.when for selector in conditions.selectors):
            return
        try:
            found = [
                self._part(self._left(node, conditions, places), places)
                for places in self._places(number)
            ]
        except Fixed:
            return
        yield from found

    def _places(self, number: int) -> Iterator[Places]:
        """Where the clause holds, by the conditions in it that hold there."""
        audience = self.scenario.audience
        rows = [c.clauses for c in self.scenario.combinations]
        mine = [row for row in rows if row[number] is not None]
        before = [n for n in range(number) if all(row[n] is not None for row in mine)]
        found: dict[int, set[Place]] = {}
        for kernel, vmm in places_of(audience):
            taken = any(audience.clauses[n].fits(kernel, vmm) for n in before)
            if not taken and audience.clauses[number].fits(kernel, vmm):
                bits = audience.fits(number, kernel, vmm)
                found.setdefault(bits, set()).add(Place(kernel, vmm))
        yield from map(frozenset, found.values())

    def _left(self, node: Map, conditions: Conditions, places: Places) -> Map:
        place = min(places)
        course = Course(conditions, lambda s: s.fits(*place), Seen(), "", False)
        return rewritten(node, course)

    def _part(self, node: Map, places: Places) -> Part:
        if {"xfail", "refused"} & {key.text for key, _ in node.entries}:
            raise Fixed
        when, about, final = node.get("when"), node.get("about"), node.get("final")
        values, memory, ring = _final(final)
        return Part(
            places,
            "" if when is None else written(when),
            _prose(about) if isinstance(about, Scalar) else None,
            {
                key: tuple(self._items(found, make))
                for key, make in LISTS.items()
                if (found := node.get(key)) is not None
            },
            values,
            memory,
            ring,
        )

    def _items(self, node: Node, make: object) -> Iterator[Item]:
        for one in items_of(node):
            item = make(one)  # type: ignore[operator]
            if item is None:
                raise Fixed
            yield with_comments(item, one, self.comments, self.lines)


def _final(
    node: Node | None,
) -> tuple[dict[str, str], dict[tuple[str, str], str], tuple[Item, ...] | None]:
    values: dict[str, str] = {}
    memory: dict[tuple[str, str], str] = {}
    ring: tuple[Item, ...] | None = None
    for key, value in entries_of(node):
        if isinstance(value, Map):
            for name, one in value.entries:
                values[f"{key.text}.{name.text}"] = written(one)
        elif key.text == "ring" and isinstance(value, Items):
            items = [entry_item(entry) for entry in value.items]
            if None in items:
                raise Fixed
            ring = tuple(item for item in items if item is not None)
        elif isinstance(value, Items):
            for bytes_ in value.items:
                at, content = _bytes(bytes_)
                if at in memory:
                    raise Fixed
                memory[at] = content
    return values, memory, ring


def _bytes(node: Node) -> tuple[tuple[str, str], str]:
    if not isinstance(node, Map) or len(node.entries) != 2:
        raise Fixed
    fields = {key.text: written(value) for key, value in node.entries}
    at = fields.pop("at")
    ((notation, content),) = fields.items()
    return (at, notation), content


def _prose(node: Scalar) -> str:
    """A text as it stands after its key, further lines without their indent."""
    text = node.text
    if "\n" not in text:
        return text if node.style == "plain" else written(node)
    header = "|" if text.endswith("\n") else "|-"
    return "\n".join([header, *text.rstrip("\n").split("\n")])

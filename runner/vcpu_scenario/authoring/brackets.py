"""Mappings and lists in brackets: on one line, on the author's lines, or filled into new ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from msgspec import Struct

from vcpu_scenario.authoring.concrete import Entry, Group, Leaf, Node, Pos
from vcpu_scenario.authoring.style import WIDTH, Place


class _Word(NamedTuple):
    """What a line break never parts; ``broken`` if the author wrote one before it."""

    text: str
    broken: bool = False


_Unit = list[_Word]
"""The words of one entry."""


class Brackets(Struct, frozen=True):
    """Writes groups in brackets; those that start in ``commented`` have comments in them."""

    source: Sequence[str]
    commented: Collection[Pos]

    def lines(self, prefix: str, group: Group, place: Place, indent: int) -> list[str]:
        """``group`` after ``prefix``; further lines stand at ``indent``."""
        if group.start in self.commented or _is_special(group):
            return self._as_it_is(prefix, group, indent)
        units = self._units(group, place)
        words = [word for unit in units for word in unit]
        as_written = _joined(prefix, words, indent)
        if all(len(line) <= WIDTH for line in as_written):
            return as_written
        return _filled(prefix, units, indent)

    def _units(self, group: Group, place: Place) -> list[_Unit]:
        opening, closing = self._ends(group, place)
        if not group.entries:
            return [[_Word(opening + closing)]]
        units = []
        for number, entry in enumerate(ordered := place.ordered(group)):
            unit = self._unit(entry, place.of(entry))
            last = number + 1 == len(ordered)
            # Where the order is new, what the author broke has no meaning any more.
            broken = number > 0 and ordered == group.entries and _is_broken(group, number)
            unit[0] = _Word((opening if number == 0 else "") + unit[0].text, broken)
            unit[-1] = unit[-1]._replace(text=unit[-1].text + (closing if last else ","))
            units.append(unit)
        return units

    def _ends(self, group: Group, place: Place) -> tuple[str, str]:
        if group.kind == "list":
            return "[", "]"
        if self._is_pair(group) or (place.is_item_variant and len(group.entries) == 1):
            return "", ""
        return "{", "}"

    def _is_pair(self, group: Group) -> bool:
        """Whether this is ``key: value`` in a list, without braces."""
        text = self.source[group.start.line][group.start.column :]
        return not text.removeprefix(group.properties).lstrip().startswith("{")

    def _unit(self, entry: Entry, place: Place) -> _Unit:
        unit = self._words(entry.value, place)
        if entry.key is not None:
            unit[0] = unit[0]._replace(text=f"{entry.key.lines[0]}: {unit[0].text}")
        return unit

    def _words(self, node: Node, place: Place) -> list[_Word]:
        before = f"{node.properties} " if node.properties else ""
        if isinstance(node, Leaf):
            return [_Word(before + place.quoted(node))]
        words = [word for unit in self._units(node, place) for word in unit]
        words[0] = words[0]._replace(text=before + words[0].text)
        return words

    def _as_it_is(self, prefix: str, group: Group, indent: int) -> list[str]:
        """The author's own lines, moved."""
        start, end = group.start, group.end
        lines = list(self.source[start.line : end.line + 1])
        lines[-1] = lines[-1][: end.column]
        lines[0] = lines[0][start.column :].removeprefix(group.properties).lstrip()
        rest = lines[1:]
        margin = min((_blanks(line) for line in rest if line.strip()), default=0)
        return [prefix + lines[0], *(" " * indent + line[margin:] for line in rest)]


def _is_special(group: Group) -> bool:
    return any(_is_special_entry(entry) for entry in group.entries)


def _is_special_entry(entry: Entry) -> bool:
    key, value = entry.key, entry.value
    if key is not None and (key.properties or key.style == "*"):
        return True
    if isinstance(value, Group):
        return _is_special(value)
    return len(value.lines) > 1 or value.lines[0] == ""


def _is_broken(group: Group, number: int) -> bool:
    return group.entries[number].start.line > group.entries[number - 1].value.end.line


def _joined(prefix: str, words: Sequence[_Word], indent: int) -> list[str]:
    """The words on the author's lines."""
    lines = [prefix + words[0].text]
    for word in words[1:]:
        if word.broken:
            lines.append(" " * indent + word.text)
        else:
            lines[-1] += f" {word.text}"
    return lines


def _filled(prefix: str, units: Sequence[_Unit], indent: int) -> list[str]:
    """As many entries on a line as it takes; one that is longer than a line is broken inside."""
    lines = [prefix]
    for unit in units:
        text = " ".join(word.text for word in unit)
        whole = indent + len(text) <= WIDTH
        for piece in [text] if whole else [word.text for word in unit]:
            if lines == [prefix]:
                lines = [prefix + piece]
            elif len(lines[-1]) + 1 + len(piece) <= WIDTH:
                lines[-1] += f" {piece}"
            else:
                lines.append(" " * indent + piece)
    return lines


def _blanks(line: str) -> int:
    return len(line) - len(line.lstrip())

"""The text of a scenario as its author wrote it: nodes with their places, and every comment.

:mod:`vcpu_scenario.language.yaml12` says what a document means; this says how it is written down.
Both stand on the same parser, so that a place here is a place there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import yaml
from msgspec import Struct, field
from msgspec.structs import replace

from vcpu_scenario.source import split_lines

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Kind = Literal["map", "list"]


class Unusual(Exception):
    """The text is YAML of a form that no formatter here knows, in words."""


class Pos(Struct, frozen=True, order=True, gc=False):
    """A place in the text; line and column count from 0."""

    line: int
    column: int


class Comment(Struct, frozen=True):
    """``# text``: alone on its line, or after something (``before``), ``gap`` blanks away."""

    at: Pos
    text: str
    before: str
    gap: int

    @property
    def alone(self) -> bool:
        return not self.before


class Leaf(NamedTuple):
    """A scalar or an alias. ``style`` is the indicator that opens it, ``*`` for an alias.

    ``lines`` are its lines as they stand in the file, the first and the last one cut to it;
    ``properties`` an anchor and a tag in front of it.
    """

    start: Pos
    end: Pos
    style: str
    value: str
    lines: tuple[str, ...]
    properties: str = ""


class Entry(NamedTuple):
    """A key with its value, or an item of a list, which has no key."""

    key: Leaf | None
    value: Node

    @property
    def start(self) -> Pos:
        return self.key.start if self.key is not None else self.value.start


class Group(NamedTuple):
    """A mapping or a list, in block style or in brackets (``flow``); ``refers`` if an anchor or an
    alias is in it."""

    start: Pos
    end: Pos
    kind: Kind
    flow: bool
    entries: tuple[Entry, ...]
    properties: str = ""
    refers: bool = False


Node: TypeAlias = Leaf | Group


class Document(Struct, frozen=True):
    """A text, its root and its comments in order."""

    lines: tuple[str, ...]
    root: Node
    comments: tuple[Comment, ...]


_CLOSERS: Final = (yaml.SequenceEndEvent, yaml.MappingEndEvent)
_NODES: Final = (yaml.NodeEvent, yaml.CollectionEndEvent)
_DIRECTIVE = re.compile(r"%|---|\.\.\.")


def read(text: str, events: Iterable[Any] | None = None) -> Document:
    """The one document in ``text``, which :func:`vcpu_scenario.language.yaml12.parse` has no fault
    with; ``events`` are those of its parser, if they are at hand.

    Raises :class:`Unusual` for directives, document markers and keys of several lines.
    """
    text = text.removeprefix("\ufeff")
    lines = tuple(split_lines(text))
    if events is None:
        events = yaml.parse(text, Loader=_LOADER)
    of_nodes = [event for event in events if isinstance(event, _NODES)]
    reader = _Reader(lines)
    root = reader.node(iter(of_nodes))
    return Document(lines, root, tuple(reader.comments(of_nodes)))


class _Reader(Struct):
    lines: tuple[str, ...]
    _anchored: list[str] = field(default_factory=list)

    def node(self, events: Iterator[Any]) -> Node:
        return self._node(next(events), events)

    def _node(self, event: Any, events: Iterator[Any]) -> Node:
        if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            return self._leaf(event)
        kind: Kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        entries: list[Entry] = []
        while not isinstance(first := next(events), _CLOSERS):
            key = None
            if kind == "map":
                key = self._key(self._node(first, events))
                first = next(events)
            entries.append(Entry(key, self._node(first, events)))
        flow = bool(event.flow_style)
        end = _pos(first.end_mark)
        if not flow and entries:
            end = entries[-1].value.end
        properties = self._properties(event)
        refers = "&" in properties or any(map(refers_to_others, entries))
        return Group(_pos(event.start_mark), end, kind, flow, tuple(entries), properties, refers)

    def _key(self, key: Node) -> Leaf:
        if not isinstance(key, Leaf) or len(key.lines) != 1:
            raise Unusual("a key of several lines")
        return key

    def _leaf(self, event: Any) -> Leaf:
        start, end = _pos(event.start_mark), _pos(event.end_mark)
        if isinstance(event, yaml.AliasEvent):
            return Leaf(start, end, "*", str(event.anchor), tuple(self._between(start, end)))
        style = event.style or ""
        properties = self._properties(event)
        if style in ("|", ">"):
            end = self._end_of_block(event, start, end)
        lines = list(self._between(start, end))
        if properties:
            lines[0] = lines[0][len(properties) :].lstrip()
            if not lines[0] and event.value:
                raise Unusual("an anchor or a tag on a line of its own")
        return Leaf(start, end, style, event.value, tuple(lines), properties)

    def _end_of_block(self, event: Any, start: Pos, end: Pos) -> Pos:
        """Where the text of a block scalar ends: the blank lines after it are no part of it,
        unless it keeps them."""
        last = end.line - 1 if end.column == 0 else end.line
        header = self.lines[start.line][start.column :].partition("#")[0]
        if "+" not in header:
            given = any(map(str.isdigit, header))
            indent = 0 if given else self._indent(self.lines[start.line + 1 : last + 1])
            # A line of blanks that goes farther than the text does is part of it.
            while last > start.line and self._is_blank(self.lines[last], indent):
                last -= 1
        return Pos(last, len(self.lines[last]))

    def _indent(self, lines: Sequence[str]) -> int:
        first = next((line for line in lines if line.strip()), None)
        return len(first) - len(first.lstrip(" ")) if first is not None else 1 << 20

    def _is_blank(self, line: str, indent: int) -> bool:
        return not line.strip() and len(line) <= indent

    def _properties(self, event: Any) -> str:
        """The anchor and the tag as they are written, one blank between them."""
        if event.anchor is None and event.tag is None:
            return ""
        line = self.lines[event.start_mark.line][event.start_mark.column :]
        found = re.match(r"[&!]\S*(\s+[&!]\S*)?", line)
        return found.group(0) if found else ""

    def _between(self, start: Pos, end: Pos) -> Iterator[str]:
        if start.line == end.line:
            yield self.lines[start.line][start.column : end.column]
            return
        for number in range(start.line, end.line + 1):
            line = self.lines[number]
            stop = end.column if number == end.line else len(line)
            yield line[start.column if number == start.line else 0 : stop]

    def comments(self, events: list[Any]) -> Iterator[Comment]:
        """Whatever follows a ``#`` outside of scalars."""
        marked = [number for number, line in enumerate(self.lines) if _is_marked(line)]
        marked.append(len(self.lines))
        here, following = Pos(0, 0), 0
        for event in events:
            while marked[following] < here.line:
                following += 1
            # Most lines have no comment: what begins and ends above the next that may is passed.
            if event.end_mark.line < marked[following]:
                continue
            yield from self._comments(here, _pos(event.start_mark))
            here = max(here, self._end(event))
        yield from self._comments(here, Pos(len(self.lines) - 1, len(self.lines[-1])))

    def _end(self, event: Any) -> Pos:
        """Where ``event`` leaves off; a block's end is where the next token stands."""
        start, end = _pos(event.start_mark), _pos(event.end_mark)
        if isinstance(event, _CLOSERS):
            return start
        if isinstance(event, yaml.CollectionStartEvent) and not event.flow_style:
            return replace(start, column=start.column + len(self._properties(event)))
        if isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">"):
            return self._end_of_block(event, start, end)
        return end

    def _comments(self, start: Pos, end: Pos) -> Iterator[Comment]:
        for number in range(start.line, min(end.line, len(self.lines) - 1) + 1):
            line = self.lines[number]
            first = start.column if number == start.line else 0
            last = end.column if number == end.line else len(line)
            gap = line[first:last]
            if first == 0 and _DIRECTIVE.match(gap):
                raise Unusual("directives and document markers")
            column = gap.find("#")
            if column >= 0:
                before = line[: first + column]
                bare = before.rstrip()
                text = line[first + column :].rstrip()
                yield Comment(
                    Pos(number, first + column), text, bare.strip(), len(before) - len(bare)
                )


def refers_to_others(entry: Entry) -> bool:
    """Whether an anchor or an alias is in the entry."""
    return _refers(entry.value) or (entry.key is not None and _refers(entry.key))


def _refers(node: Node) -> bool:
    if isinstance(node, Group):
        return node.refers
    return "&" in node.properties or node.style == "*"


def _is_marked(line: str) -> bool:
    """Whether a comment may be in the line, or it may be a directive."""
    return "#" in line or _DIRECTIVE.match(line) is not None


def _pos(mark: Any) -> Pos:
    return Pos(mark.line, mark.column)

"""Where in a scenario the cursor is, while what is being written there is no YAML yet.

A word that nothing else is called is put where the cursor is, as a key and as a value, and the
parser's events tell what it became. What comes behind it may be broken: then it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml
from msgspec import Struct, field

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARK: Final = "zz--here--zz"
_WORD: Final = re.compile(r"(?<![\w.$+\-])[+\-]*([\w.$][\w.$+\-]*)\Z|()\Z")
"""Tried where a word begins alone: from each character of a long one it would be read again."""
_IN_CODE: Final = re.compile(r"(?<![\w.$])[A-Za-z_.$][\w.$]*(?:\+\w*)?\Z|\Z")
_REST: Final = re.compile(r"[\w.$+\-]*")
_IN_CODE_BEHIND: Final = re.compile(r"[\w.$]*")
_CODE: Final = ("guest", "code")
_MOST_EVENTS: Final = 200_000


class Spot(NamedTuple):
    """What can be written at a place: a key of the mapping at ``path``, or the value there.

    ``present`` are the keys that the mapping has already.
    """

    path: tuple[str | int, ...]
    is_key: bool
    present: frozenset[str]
    in_code: bool = False
    """Within the guest's code, where names stand among much else."""


class Cursor(NamedTuple):
    """The word at the cursor, by its offsets, and what it can be."""

    start: int
    end: int
    quoted: bool
    followed: bool
    """A colon is there already."""
    spots: tuple[Spot, ...]


def cursor(text: str, offset: int) -> Cursor:
    """What can stand at ``offset``; none in a comment, or in a text but code."""
    found = _WORD.search(text, text.rfind("\n", 0, offset) + 1, offset)
    start = found.start(found.lastindex or 0) if found else offset
    rest = _REST.match(text, offset)
    end = rest.end() if rest else offset
    quoted = text[start - 1 : start] in ("'", '"') or _in_quotes(text, start)
    before, after = text[:start], text[end:]
    followed = after.lstrip(" '\"").startswith(":")
    variants = [f"{_MARK}"] if quoted or followed else [f"{_MARK}: 0", f"{_MARK} "]
    spots: dict[tuple[Any, bool], Spot] = {}
    for variant in variants:
        for whole in (before + variant + after, before + variant + ('"' if quoted else "")):
            spot = _spot(whole)
            if spot is not None:
                spots.setdefault((spot.path, spot.is_key), spot)
                break
    if any(spot.in_code for spot in spots.values()):
        found = _IN_CODE.search(text, start, offset)
        start = found.start() if found else offset
        rest = _IN_CODE_BEHIND.match(text, offset)
        end, followed = rest.end() if rest else offset, False
    return Cursor(start, end, quoted, followed, tuple(spots.values()))


def _in_quotes(text: str, offset: int) -> bool:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return line.count('"') % 2 == 1 or line.count("'") % 2 == 1


class _Open(Struct):
    """A collection whose end has not come: the key that is due, or the number of the next item."""

    is_map: bool
    key: str | None = None
    count: int = 0
    keys: list[str] = field(default_factory=list)

    @property
    def step(self) -> str | int:
        return (self.key or "") if self.is_map else self.count

    def took(self) -> None:
        """A value is complete."""
        self.key = None
        self.count += 1


def _spot(text: str) -> Spot | None:
    stack: list[_Open] = []
    spot: Spot | None = None
    depth = 0
    try:
        for event in _events(text):
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(_Open(isinstance(event, yaml.MappingStartEvent)))
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = stack.pop()
                if spot is not None and len(stack) < depth:
                    return spot._replace(present=frozenset(closed.keys) - {_MARK})
                if stack:
                    stack[-1].took()
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                value = event.value if isinstance(event, yaml.ScalarEvent) else ""
                is_key = bool(stack) and stack[-1].is_map and stack[-1].key is None
                if spot is None and _MARK in value:
                    steps = stack[:-1] if is_key else stack
                    path = tuple(each.step for each in steps)
                    if not is_key and path == _CODE:
                        return Spot(path, False, frozenset(), in_code=True)
                    if not _is_word(value, getattr(event, "style", None)):
                        return None
                    spot = Spot(path, is_key, frozenset(stack[-1].keys) if is_key else frozenset())
                    depth = len(stack)
                    if not is_key:
                        return spot
                if is_key:
                    stack[-1].key = value
                    stack[-1].keys.append(value)
                elif stack:
                    stack[-1].took()
    except yaml.YAMLError:
        pass
    except UnicodeError:
        return None
    return spot


def _is_word(value: str, style: str | None) -> bool:
    """Whether the mark is a scalar by itself, or the last word in quotes: not in a text."""
    if style in ("'", '"'):
        return value.endswith(_MARK) and "\n" not in value
    return style not in ("|", ">") and value.strip() == _MARK


def _events(text: str) -> Iterator[Any]:
    parser = _LOADER(text)
    try:
        for _ in range(_MOST_EVENTS):
            event = parser.get_event()
            if event is None:
                return
            yield event
    finally:
        parser.dispose()

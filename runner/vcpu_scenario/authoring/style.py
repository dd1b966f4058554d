"""How a scenario is written: what comes in which order, what has a block, what has quotes.

The order is that of the schema; where there is a choice between a block and brackets it is the
author's, but for the parts of a scenario that always have a block.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

from vcpu_scenario.authoring.concrete import Entry, Group, Leaf, refers_to_others
from vcpu_scenario.language.nodes import resolve
from vcpu_scenario.language.schema import scenario_schema

WIDTH: Final = 100

HEADER: Final = ("version", "title", "about", "origin", "tags", "kernels", "vmm", "host")
"""Keys that stand together at the top, with no blank line between them."""

_ANY: Final = "*"
_BLOCKS: Final = frozenset(
    (
        (),
        ("guest",),
        ("devices",),
        ("memory",),
        ("on",),
        ("expect",),
        ("expect", _ANY),
        ("expect", _ANY, "exits"),
        ("expect", _ANY, "never"),
        ("expect", _ANY, "stops"),
    )
)

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*\Z")
_OTHER_BOOLEANS: Final = frozenset(("y", "n", "yes", "no", "on", "off"))
"""What YAML 1.1 takes for booleans: readers of such files know it, and keep the quotes."""


class Place(Struct, frozen=True):
    """A part of a scenario: the keys that lead there (``*`` for an item) and its schema."""

    path: tuple[str, ...] = ()
    schema: Any = None

    def of(self, entry: Entry) -> Place:
        """The place of the value of ``entry``."""
        if entry.key is None:
            return self._at(_ANY, self.schema.get("items"))
        name = entry.key.value
        further = self.schema.get("additionalProperties")
        return self._at(name, self.schema.get("properties", {}).get(name, further))

    def _at(self, name: str, schema: Any) -> Place:
        return Place((*self.path, name), _resolved(schema))

    @property
    def has_block(self) -> bool:
        """Whether what stands here never stands in brackets, unless it is empty."""
        return self.path in _BLOCKS

    @property
    def is_variant(self) -> bool:
        """Whether this is a mapping with one key that says what it is, such as an exit, or an
        action, beside which there may be one more."""
        schema = self.schema
        return bool(schema.get("minProperties") == 1 and schema.get("maxProperties") in (1, 2))

    @property
    def is_item_variant(self) -> bool:
        """Whether this is a variant that stands in a list."""
        return self.is_variant and self.path[-1:] == (_ANY,)

    def ordered(self, group: Group) -> tuple[Entry, ...]:
        """The entries of a mapping in the order of the schema; others in their own order.

        Where an anchor stands in one entry and its alias in another, their order is kept.
        """
        names = list(self.schema.get("properties", ()))
        if group.kind == "list" or not names or _shares(group):
            return group.entries
        rank = {name: number for number, name in enumerate(names)}
        return tuple(sorted(group.entries, key=lambda entry: rank.get(_name(entry), len(rank))))

    def quoted(self, leaf: Leaf) -> str:
        """A scalar of one line, in the quotes that it has to have here."""
        text = leaf.lines[0]
        if leaf.style == "" and self._is_range() and isinstance(resolve(leaf.value), str):
            return f'"{leaf.value}"' if _needs_no_escape(leaf.value) else text
        if leaf.style in ("'", '"') and self._is_word(leaf.value):
            return leaf.value
        if leaf.style == "'" and _needs_no_escape(leaf.value):
            return f'"{leaf.value}"'
        if leaf.style == '"' and '\\"' in text and _fits_single_quotes(leaf.value):
            return f"'{leaf.value}'"
        return text

    def _is_range(self) -> bool:
        names = [name for name in self.path if name != _ANY]
        return names == ["kernels"] or (names[:1] == ["expect"] and names[-1] == "kernels")

    def _is_word(self, value: str) -> bool:
        """Whether the quotes around ``value`` say nothing: it is a name, not a text."""
        if self._is_range() or not self.schema.keys() & {"enum", "pattern"}:
            return False
        if value.lower() in _OTHER_BOOLEANS or not _WORD.match(value):
            return False
        return isinstance(resolve(value), str)


def root() -> Place:
    """The place of a whole scenario."""
    return Place((), _resolved(scenario_schema()))


def _resolved(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return {}
    while "$ref" in schema:
        schema = scenario_schema()["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def _name(entry: Entry) -> str:
    return entry.key.value if entry.key is not None else ""


def _shares(group: Group) -> bool:
    return group.refers and sum(map(refers_to_others, group.entries)) > 1


def _needs_no_escape(value: str) -> bool:
    return value.isprintable() and not set(value) & {'"', "\\"}


def _fits_single_quotes(value: str) -> bool:
    return value.isprintable() and "'" not in value and "\\" not in value

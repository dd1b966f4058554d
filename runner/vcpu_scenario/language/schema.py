"""Holds a document against ``schemas/scenario.schema.json``, draft-07.

This walks the nodes themselves, so that every fault has its span, and takes what the schema has
faults in out of the tree, so that the rest can be checked for its meaning in the same run. A run
trusts it alone: to import ``jsonschema`` would take longer than all else before its verdict. In
``scenario check`` that decides (:mod:`vcpu_scenario.language.referee`).
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal

from msgspec.structs import replace

from vcpu_scenario.language.misplaced import home_of
from vcpu_scenario.language.nodes import Entries, Map, Node, Scalar, Sequence, Value
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.renamed import OTHER_VALUES, OTHER_WORDS, RENAMED, said_twice
from vcpu_scenario.language.shapes import Schema, Shape, shape_of
from vcpu_scenario.language.wrongvalue import choices, described, expected_of, hint_for, near_words
from vcpu_scenario.source import Span, did_you_mean, quoted

_FOLDERS: Final = (
    Path(__file__).resolve().parents[1] / "schemas",
    Path(__file__).resolve().parents[3] / "schemas",
)


@cache
def scenario_schema() -> Schema:
    """The schema of a scenario."""
    schema: Schema = json.loads(schema_text())
    return schema


def schema_text() -> str:
    """The file with the schema: inside the package when installed, at the top of a checkout."""
    for folder in _FOLDERS:
        path = folder / "scenario.schema.json"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"scenario.schema.json is in none of {', '.join(map(str, _FOLDERS))}")


@cache
def _shape() -> Shape:
    return shape_of(scenario_schema())


def check(root: Node, problems: Problems, *, again: bool = False) -> Node | None:
    """Reports what the schema has against ``root`` and returns it without those parts.

    The result is None where nothing is left. With ``again`` only what parameters have changed
    is looked at.
    """
    return _Check(_shape(), problems, again).node(root, _shape(), "the scenario", root.span)


class _Check:
    def __init__(self, root: Shape, problems: Problems, again: bool) -> None:
        self._root = root
        self._problems = problems
        self._again = again

    def node(self, node: Node, shape: Shape, what: str, label: Span) -> Node | None:
        """``what`` names the node in messages; ``label`` is its key, where faults of the whole
        of a mapping are shown."""
        if self._again and not node.dynamic:
            return node
        if isinstance(node, Scalar):
            if shape.fits(node):
                return node
            self._scalar(node, shape, what)
            return None
        if not shape.is_type(node):
            self._wrong(node, shape, what)
            return None
        if isinstance(node, Sequence):
            return self._sequence(node, shape, what)
        return self._map(node, shape, what, label)

    def _scalar(self, node: Scalar, shape: Shape, what: str) -> None:
        """Says what is wrong with a scalar that does not fit."""
        words = choices(shape.schema) if shape.scalars == {str} and not shape.takes_list else ()
        known = shape.enum or words
        if known and shape.is_type(node) and node.value not in known:
            self._not_one_of(node, known, what)
        else:
            self._wrong(node, shape, what)

    def _sequence(self, node: Sequence, shape: Shape, what: str) -> Node | None:
        count = len(node.items)
        if count < shape.min_items:
            self._problems.add(f"{what} has no items", node.span, expected="at least one item")
            return None
        if shape.max_items is not None and count > shape.max_items:
            self._problems.add(
                f"too many items in {what}",
                node.items[shape.max_items].span,
                found=f"{count} items",
                expected=f"at most {shape.max_items}",
            )
            node = replace(node, items=node.items[: shape.max_items])
        of_items = shape.items
        if of_items is None:
            return node
        name = f"an item of {what}"
        kept = tuple(
            found
            for item in node.items
            if (found := self.node(item, of_items, name, item.span)) is not None
        )
        if _same(kept, node.items):
            return node
        faulty = node.faulty or len(kept) < count
        return Sequence(kept, node.span, node.dynamic, faulty)

    def _map(self, node: Map, shape: Shape, what: str, label: Span) -> Node | None:
        entries = node.entries
        kept = self._entries(entries, shape, what)
        # Of one that is faulty, what is missing was taken out, and told then.
        whole = (self._again and node.faulty) or (
            self._counted(node, shape, what, label) & self._complete(node, shape, what, label)
        )
        if shape.required and what != "the scenario":
            whole &= {key.text for key, _ in kept}.issuperset(shape.required)
        if not whole:
            return None
        if kept is entries:
            return node
        faulty = node.faulty or len(kept) < len(entries)
        return Map(kept, node.span, node.dynamic, faulty)

    def _entries(self, entries: Entries, shape: Shape, what: str) -> Entries:
        """The entries that fit; the very same where all do as they are."""
        kept = []
        changed = False
        for entry in entries:
            key, value = entry
            below = shape.properties.get(key.text) or self._further(key, shape, what, entries)
            if below is None:
                changed = True
            elif isinstance(below, bool) or (type(value) is Scalar and below.fits(value)):
                kept.append(entry)
            else:
                found = self.node(value, below, _name_of(key.text), key.span)
                changed |= found is not value
                if found is not None:
                    kept.append(entry if found is value else (key, found))
        return tuple(kept) if changed else entries

    def _further(
        self, key: Scalar, shape: Shape, what: str, beside: Entries
    ) -> Shape | Literal[True] | None:
        """What the value of a key has to be like that the schema does not name; None where it
        may not have such a key."""
        if shape.further is False:
            self._unknown(key, shape, what, beside)
            return None
        names = shape.names
        if names is None or shape.further is True or names.fits_text(key.text):
            return shape.further
        expected = names.schema.get("title", "a name of letters, digits and _")
        self._problems.add(f"{quoted(key.text)} cannot be a key here", key.span, expected=expected)
        return None

    def _counted(self, node: Map, shape: Shape, what: str, label: Span) -> bool:
        count = len(node.entries)
        low = shape.min_properties
        high = count if shape.max_properties is None else shape.max_properties
        if low <= count <= high:
            return True
        if count > high and sum(key.text in shape.properties for key, _ in node.entries) == high:
            return False  # those that are too many are unknown, and told as that
        properties = [name for name in shape.properties if name != "at"]
        at_most_one = "one of " if high <= 2 or low == 1 else ""
        keys = ", ".join(key.text for key, _ in node.entries) or "no key"
        self._problems.add(
            f"{what} has too {'few' if count < low else 'many'} keys",
            node.entries[high][0].span if count > high else label,
            found=keys if count <= 12 else f"{count} keys",
            expected=at_most_one + ", ".join(properties) if properties else f"at least {low}",
            help="" if properties or low < 2 else "say what holds in the other cases: `else:`",
        )
        return False

    def _complete(self, node: Map, shape: Shape, what: str, label: Span) -> bool:
        if not (shape.required or shape.dependencies):
            return True
        present = {key.text for key, _ in node.entries}
        absent = [name for name in shape.required if name not in present]
        for name, needed in shape.dependencies.items():
            if name in present:
                absent += [other for other in needed if other not in present]
        for name in _not_meant(absent, node, shape.properties) if absent else ():
            self._problems.add(
                f"{what} lacks {quoted(name)}", label, expected=f"a key {quoted(name)}"
            )
        return not absent

    def _unknown(self, key: Scalar, shape: Shape, what: str, beside: Entries) -> None:
        properties = shape.properties
        new = RENAMED.get(key.text)
        if new is not None and new in properties:
            if any(other.text == new for other, _ in beside):
                self._problems.said_twice.append(said_twice(key, new))
                self._problems.take(self._problems.said_twice[-1])
                return
            self._problems.renamed[key.span] = key.text
            self._problems.add(
                f"{quoted(key.text)} in {what} has another name now",
                key.span,
                expected=new,
                help=f"write {quoted(new)}, or run `scenario migrate`; what it says is the same",
            )
            return
        if glued := _GLUED.match(key.text):
            name, rest = glued.groups()
            if name in properties:
                help_ = f"write `{name}: {rest}`, with a plain space behind the colon"
                self._problems.add(f"{quoted(name)} has no value", key.span, help=help_)
                return
        other = OTHER_WORDS.get(key.text, "")
        home = home_of(key, beside, shape, self._root)
        self._problems.add(
            f"unknown key {quoted(key.text)} in {what}",
            key.span,
            expected=", ".join(properties),
            help="YAML 1.2 has no merge keys" if key.text == "<<" else home,
            near=None
            if home and other not in properties
            else (other if other in properties else key.text, properties),
        )

    def _not_one_of(self, node: Scalar, enum: Iterable[Value], what: str) -> None:
        known = [str(choice).lower() if choice is True else str(choice) for choice in enum]
        self._problems.add(
            f"{quoted(node.text)} is none of the values of {what}",
            node.span,
            expected=", ".join(known),
            help=OTHER_VALUES.get(what, ""),
            near=(node.text, known),
        )

    def _wrong(self, node: Node, shape: Shape, what: str) -> None:
        self._problems.add(
            f"wrong value for {what}",
            node.span,
            found=described(node),
            expected="a mapping" if shape is self._root else expected_of(node, shape),
            help=hint_for(node, shape),
            near=near_words(node, shape),
        )


_GLUED: Final = re.compile(r"(\w+)(?:\s*[:=]\s*|\s+)(\S.*)\Z")
"""A key that has swallowed its value, since no space stands behind the colon."""


def _not_meant(absent: list[str], node: Map, known: Mapping[str, Shape]) -> list[str]:
    """``absent`` without those that an unknown key of ``node``, reported itself, comes close to."""
    unknown = [key.text for key, _ in node.entries if key.text not in known]
    hints = {did_you_mean(word, known) for word in unknown[: Problems.HINTS]}
    hints |= {f"did you mean `{RENAMED[word]}`?" for word in unknown if word in RENAMED}
    return [name for name in absent if f"did you mean `{name}`?" not in hints]


def _same(new: Collection[Node], old: Collection[Node]) -> bool:
    return len(new) == len(old) and all(map(operator.is_, new, old))


@lru_cache(maxsize=1 << 10)
def _name_of(key: str) -> str:
    return quoted(key)

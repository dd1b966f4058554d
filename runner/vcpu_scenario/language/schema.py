"""Holds a document against ``schemas/scenario.schema.json``, draft-07.

This walks the nodes themselves, so that every fault has its span, and takes what the schema has
faults in out of the tree, so that the rest can be checked for its meaning in the same run. It
knows the keywords that the schema uses and no others; the tests hold it against ``jsonschema``,
which reads the same file, and which to import would take longer than all else a run has to do
before its verdict.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from vcpu_scenario.host.printable import printable
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.scope import Near, Problems
from vcpu_scenario.source import Span, did_you_mean, quoted

Schema = Mapping[str, Any]

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


def check(root: Node, problems: Problems, *, again: bool = False) -> Node | None:
    """Reports what the schema has against ``root`` and returns it without those parts.

    The result is None where nothing is left. With ``again`` only what parameters have changed
    is looked at.
    """
    schema = scenario_schema()
    return _Check(schema, problems, again).node(root, schema, "the scenario", root.span)


class _Check:
    def __init__(self, root: Schema, problems: Problems, again: bool) -> None:
        self._root = root
        self._definitions: Schema = root.get("definitions", {})
        self._problems = problems
        self._again = again

    def node(self, node: Node, schema: Schema, what: str, label: Span) -> Node | None:
        """``what`` names the node in messages; ``label`` is its key, where faults of the whole
        of a mapping are shown."""
        if self._again and not node.dynamic:
            return node
        schema = self._resolved(schema)
        if isinstance(node, Scalar):
            return node if self._scalar(node, schema, what) else None
        if not _is_type(node, schema):
            self._wrong(node, schema, what)
            return None
        if isinstance(node, Sequence):
            return self._sequence(node, schema, what, label)
        return self._map(node, schema, what, label)

    def _resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        if reference is None:
            return schema
        return self._resolved(self._definitions[reference.rpartition("/")[2]])

    def _scalar(self, node: Scalar, schema: Schema, what: str) -> bool:
        if not _is_type(node, schema):
            return self._wrong(node, schema, what)
        value = node.value
        enum = schema.get("enum")
        if enum is not None and value not in enum:
            return self._not_one_of(node, enum, what)
        if isinstance(value, str):
            pattern = schema.get("pattern")
            if pattern is not None and not _compiled(pattern).search(value):
                return self._wrong(node, schema, what)
            if len(value) < schema.get("minLength", 0):
                return self._wrong(node, schema, what)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = schema.get("minimum", value), schema.get("maximum", value)
            if not low <= value <= high:
                return self._wrong(node, schema, what)
        return True

    def _sequence(self, node: Sequence, schema: Schema, what: str, label: Span) -> Node | None:
        count = len(node.items)
        if count < schema.get("minItems", 0):
            self._problems.add(f"{what} has no items", node.span, expected="at least one item")
            return None
        if count > schema.get("maxItems", count):
            self._problems.add(
                f"too many items in {what}",
                node.items[schema["maxItems"]].span,
                found=f"{count} items",
                expected=f"at most {schema['maxItems']}",
            )
            node = node._replace(items=node.items[: schema["maxItems"]])
        of_items = schema.get("items")
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

    def _map(self, node: Map, schema: Schema, what: str, label: Span) -> Node | None:
        kept = tuple(self._entries(node, schema, what))
        present = {key.text for key, _ in node.entries}
        whole = self._again and node.faulty  # what is missing was taken out, and told then
        if not whole:
            whole = self._counted(node, schema, what, label)
            whole &= self._complete(node, present, schema, what, label)
        missing = set(schema.get("required", ())) - {key.text for key, _ in kept}
        if not whole or (missing and what != "the scenario"):
            return None
        if _same([value for _, value in kept], [value for _, value in node.entries]):
            return node
        faulty = node.faulty or len(kept) < len(node.entries)
        return Map(kept, node.span, node.dynamic, faulty)

    def _entries(self, node: Map, schema: Schema, what: str) -> Iterable[tuple[Scalar, Node]]:
        properties: Schema = schema.get("properties", {})
        further = schema.get("additionalProperties", True)
        for key, value in node.entries:
            of_value = properties.get(key.text, further)
            if of_value is False:
                self._unknown(key, properties, what)
            elif of_value is True:
                yield key, value
            elif self._named(key, schema, properties):
                name = _name_of(key.text)
                if (found := self.node(value, of_value, name, key.span)) is not None:
                    yield key, found

    def _named(self, key: Scalar, schema: Schema, properties: Schema) -> bool:
        names = schema.get("propertyNames")
        if names is None or key.text in properties:
            return True
        names = self._resolved(names)
        if _compiled(names["pattern"]).search(key.text):
            return True
        expected = names.get("title", "a name of letters, digits and _")
        self._problems.add(f"{quoted(key.text)} cannot be a key here", key.span, expected=expected)
        return False

    def _counted(self, node: Map, schema: Schema, what: str, label: Span) -> bool:
        count = len(node.entries)
        low, high = schema.get("minProperties", 0), schema.get("maxProperties", count)
        if low <= count <= high:
            return True
        properties = [name for name in schema.get("properties", {}) if name != "at"]
        at_most_one = "one of " if high <= 2 or low == 1 else ""
        keys = ", ".join(key.text for key, _ in node.entries) or "no key"
        self._problems.add(
            f"{what} has too {'few' if count < low else 'many'} keys",
            node.entries[high][0].span if count > high else label,
            found=keys if count <= 12 else f"{count} keys",
            expected=at_most_one + ", ".join(properties) if properties else f"at least {low}",
        )
        return False

    def _complete(
        self, node: Map, present: set[str], schema: Schema, what: str, label: Span
    ) -> bool:
        absent = [name for name in schema.get("required", ()) if name not in present]
        for name, needed in schema.get("dependencies", {}).items():
            if name in present:
                absent += [other for other in needed if other not in present]
        for name in _not_meant(absent, node, schema) if absent else ():
            self._problems.add(
                f"{what} lacks {quoted(name)}", label, expected=f"a key {quoted(name)}"
            )
        return not absent

    def _unknown(self, key: Scalar, properties: Schema, what: str) -> None:
        self._problems.add(
            f"unknown key {quoted(key.text)} in {what}",
            key.span,
            expected=", ".join(properties),
            help="YAML 1.2 has no merge keys" if key.text == "<<" else "",
            near=(key.text, properties),
        )

    def _not_one_of(self, node: Scalar, enum: list[Any], what: str) -> bool:
        choices = [str(choice).lower() if choice is True else str(choice) for choice in enum]
        self._problems.add(
            f"{quoted(node.text)} is none of the values of {what}",
            node.span,
            expected=", ".join(choices),
            near=(node.text, choices),
        )
        return False

    def _wrong(self, node: Node, schema: Schema, what: str) -> bool:
        title = schema.get("title") if schema is not self._root else None
        expected = title or " or ".join(map(_article, _types(schema)))
        self._problems.add(
            f"wrong value for {what}",
            node.span,
            found=_found(node),
            expected=expected,
            help=_hint(node, schema, self._resolved(schema.get("items", {}))),
            near=_near(node, schema),
        )
        return False


def _not_meant(absent: list[str], node: Map, schema: Schema) -> list[str]:
    """``absent`` without those that an unknown key of ``node``, reported itself, comes close to."""
    unknown = [key.text for key, _ in node.entries if key.text not in schema.get("properties", {})]
    hints = {did_you_mean(word, schema.get("properties", {})) for word in unknown[: Problems.HINTS]}
    return [name for name in absent if f"did you mean `{name}`?" not in hints]


def _same(new: Collection[Node], old: Collection[Node]) -> bool:
    return len(new) == len(old) and all(map(operator.is_, new, old))


def _types(schema: Schema) -> list[str]:
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else declared


_IS: Final[Mapping[str, Callable[[Node], bool]]] = {
    "object": lambda node: isinstance(node, Map),
    "array": lambda node: isinstance(node, Sequence),
    "string": lambda node: isinstance(node, Scalar) and isinstance(node.value, str),
    "boolean": lambda node: isinstance(node, Scalar) and isinstance(node.value, bool),
    "number": lambda node: isinstance(node, Scalar) and _is_number(node.value),
    "integer": lambda node: isinstance(node, Scalar) and _is_integer(node.value),
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    # 1.0 is an integer in JSON Schema since draft-06.
    return _is_number(value) and (not isinstance(value, float) or value.is_integer())


def _is_type(node: Node, schema: Schema) -> bool:
    types = schema.get("type")
    if types is None:
        return True
    if isinstance(types, str):
        return _IS[types](node)
    return any(_IS[name](node) for name in types)


@lru_cache(maxsize=1 << 10)
def _name_of(key: str) -> str:
    return quoted(key)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_NAMES: Final = {
    "object": "mapping",
    "array": "list",
    "string": "text",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
}


def _article(name: str) -> str:
    word = _NAMES[name]
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _found(node: Node) -> str:
    if isinstance(node, Sequence):
        return f"a list of {len(node.items)}"
    if isinstance(node, Map):
        return "a mapping with " + (", ".join(key.text for key, _ in node.entries[:6]) or "no keys")
    if node.value is None:
        return "nothing" if not node.text else f"{node.text}, which is null"
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a text"}
    return f"{quoted(node.text)}, {kinds[type(node.value)]}"


_ONE_OF: Final = re.compile(r"\^\(((?:\w[\w-]*\|?)+)\)\$")
"""A pattern that is a choice of words."""


def _near(node: Node, schema: Schema) -> Near | None:
    choices = _ONE_OF.match(schema.get("pattern", ""))
    if choices is None or not isinstance(node, Scalar):
        return None
    return node.text, choices[1].split("|")


def _hint(node: Node, schema: Schema, items: Schema) -> str:
    if _types(schema) == ["array"]:
        return _as_a_list(node) if _is_type(node, items) else ""
    if not isinstance(node, Scalar) or isinstance(node.value, str) or not node.text:
        return ""
    if node.style != "plain" or "string" not in _types(schema) or _is_type(node, schema):
        return ""
    pattern = schema.get("pattern")
    fits = pattern is None or _compiled(pattern).search(node.text)
    return f'quote it: "{node.text}"' if fits else ""


def _as_a_list(node: Node) -> str:
    if isinstance(node, Map):
        return "this is a list, also of one: begin each item with `- `" if node.entries else ""
    text = node.text if isinstance(node, Scalar) else ""
    plain = text and "\n" not in text and len(text) <= 40 and not set(text) & set("[]{},:#'\"")
    return f"a list of one is written [{printable(text)}]" if plain else ""

"""The language reference, made of the schema: a table for every mapping, and what values are.

The schema is the one source of what may stand where; what is said here is said there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from vcpu_scenario.language.schema import scenario_schema

Schema = Mapping[str, Any]

_BY_CASE: Final = "_by_case"
"""What the name of a definition ends with whose value may be one by case."""
_DEFINITE: Final = "definite_"
"""What it begins with where there has to be a value in each case: none is one of its own."""
_CASE: Final = "case_key"

_PLAIN: Final = {
    "string": "text",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "object": "mapping",
    "array": "list",
}


def reference(level: int = 1) -> str:
    """The reference in Markdown; its uppermost headings have ``level``."""
    book = _Book(scenario_schema())
    book.collect(scenario_schema(), "scenario", "")
    lines = [*book.mappings(level), *book.values(level)]
    return "\n".join(lines).rstrip() + "\n"


class _Section(Struct, frozen=True):
    """A mapping with keys of its own: ``name`` is how tables refer to it."""

    name: str
    schema: Schema
    where: str


class _Book(Struct):
    root: Schema
    sections: dict[str, _Section] = field(default_factory=dict)
    kinds: dict[str, Schema] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def collect(self, schema: Schema, name: str, where: str) -> None:
        """Finds every mapping and every kind of value that ``schema`` leads to, in its order."""
        if self._definition(schema).endswith(_BY_CASE):
            self.kinds.setdefault(_CASE, self.root["definitions"][_CASE])
        schema = self._plain(schema)
        defined = self._definition(schema)
        target = self._resolved(schema)
        name = defined or name
        if defined and _is_scalar(target):
            self.kinds.setdefault(defined, target)
        if id(target) in self._names:
            return
        if "properties" in target:
            if name in self.sections:
                name = f"{where} {name}".strip()
            self._names[id(target)] = name
            self.sections[name] = _Section(name, target, where)
        for key, below in self._below(target):
            self.collect(below, key or name, name if "properties" in target else where)

    def _below(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        yield from schema.get("properties", {}).items()
        for keyword in ("items", "additionalProperties", "propertyNames"):
            if isinstance(schema.get(keyword), dict):
                yield "", schema[keyword]

    def _plain(self, schema: Schema) -> Schema:
        """A schema without what makes of its value one by case."""
        name = self._definition(schema)
        if not name.endswith(_BY_CASE):
            return schema
        plain = name.removesuffix(_BY_CASE).removeprefix(_DEFINITE)
        if plain in self.root["definitions"]:
            return {**schema, "$ref": f"#/definitions/{plain}"}
        target = self._resolved(schema)
        left = ("propertyNames", "additionalProperties", "minProperties", "$ref")
        found = {k: v for k, v in {**target, **schema}.items() if k not in left}
        words = re.match(r"\^\(([\w|]+)\)\$\Z", target.get("pattern", ""))
        if words is not None:
            found["enum"] = words[1].split("|")
        return {**found, "type": [kind for kind in _types(target) if kind != "object"]}

    def _definition(self, schema: Schema) -> str:
        reference = schema.get("$ref", "")
        return str(reference.rpartition("/")[2])

    def _resolved(self, schema: Schema) -> Schema:
        name = self._definition(schema)
        return self._resolved(self.root["definitions"][name]) if name else schema

    def mappings(self, level: int) -> Iterator[str]:
        for section in self.sections.values():
            yield f"{'#' * level} {_heading(section.name)}"
            yield ""
            yield section.schema["description"]
            yield ""
            yield from self._rules(section.schema)
            yield "| key | value | |"
            yield "| --- | --- | --- |"
            for key, below in section.schema["properties"].items():
                needed = " (required)" if key in section.schema.get("required", ()) else ""
                yield f"| `{key}`{needed} | {self._type(below)} | {_cell(below['description'])} |"
            yield ""

    def _rules(self, schema: Schema) -> Iterator[str]:
        low, high = schema.get("minProperties", 0), schema.get("maxProperties")
        if low == high == 1:
            yield "Exactly one of these keys."
            yield ""
        elif low == high == 2:
            first = schema["required"][0]
            yield f"`{first}` and exactly one of the other keys."
            yield ""
        for key, others in schema.get("dependencies", {}).items():
            needed = " and ".join(f"`{other}`" for other in others)
            yield f"`{key}` only with {needed}."
            yield ""

    def values(self, level: int) -> Iterator[str]:
        yield f"{'#' * level} Values"
        yield ""
        for name, schema in self.kinds.items():
            yield f"{'#' * (level + 1)} {_heading(name)}"
            yield ""
            yield schema["description"]
            choices = schema.get("enum") or schema.get("items", {}).get("enum")
            if choices:
                yield ""
                yield f"{_choices(choices)}."
            yield ""

    def _type(self, schema: Schema) -> str:
        schema = self._plain(schema)
        name = self._definition(schema)
        if name in self.kinds:
            return _link(name)
        target = self._resolved(schema)
        if "enum" in target:
            return _choices(target["enum"])
        if id(target) in self._names:
            scalars = [_PLAIN[kind] for kind in _types(target) if kind != "object"]
            return " or ".join([*scalars, _link(self._names[id(target)])])
        if "title" in target and "object" not in _types(target):
            return _cell(target["title"])
        return " or ".join(self._of_kind(kind, target) for kind in _types(target))

    def _of_kind(self, kind: str, schema: Schema) -> str:
        if kind == "array" and "items" in schema:
            items = schema["items"]
            plain = items.get("type") == "string" and "enum" not in items
            return f"list of {'text' if plain else self._type(items)}"
        further = schema.get("additionalProperties")
        if kind == "object" and isinstance(further, dict):
            return f"mapping to {self._type(further)}"
        return _PLAIN[kind]


def _types(schema: Schema) -> list[str]:
    """The types that are worth saying: not the text that is only there for a parameter."""
    declared = schema.get("type", [])
    types = [declared] if isinstance(declared, str) else list(declared)
    if "string" in types and len(types) > 1 and not re.search(schema.get("pattern", ""), "word"):
        types.remove("string")
    return types


def _is_scalar(schema: Schema) -> bool:
    """Whether a value of this kind is a scalar, or a list of such."""
    below = schema.get("items", {})
    return (
        "properties" not in schema and "additionalProperties" not in schema and "$ref" not in below
    )


def _choices(values: Sequence[Any]) -> str:
    return ", ".join(f"`{str(value).lower() if value is True else value}`" for value in values)


def _heading(name: str) -> str:
    return f"`{name}`"


def _link(name: str) -> str:
    return f"[{name}](#{name.lower().replace(' ', '-')})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

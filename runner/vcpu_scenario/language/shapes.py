"""The schema of a scenario made ready for the walk: each subschema as a record, references
followed, types as Python has them.

It knows the keywords that the schema uses and no others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from msgspec import Struct, field

from vcpu_scenario.language.nodes import Map, Node, Scalar, Value

Schema = Mapping[str, Any]

_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int,),
    "null": (type(None),),
}
_ALL_SCALARS: Final[frozenset[type]] = frozenset((str, bool, int, float, type(None)))


class Shape(Struct, eq=False):
    """What a node has to be like. ``schema`` is what this was made of, with what words it has."""

    schema: Schema
    takes_map: bool = True
    takes_list: bool = True
    scalars: frozenset[type] = _ALL_SCALARS
    integral: bool = False
    """A float that is an integer will do: so it is in JSON Schema since draft-06."""
    enum: tuple[Value, ...] | None = None
    regex: str | None = None
    min_length: int = 0
    low: float | None = None
    high: float | None = None
    items: Shape | None = None
    min_items: int = 0
    max_items: int | None = None
    properties: dict[str, Shape] = field(default_factory=dict)
    further: Shape | bool = True
    """What other keys have; whether there may be any."""
    names: Shape | None = None
    required: tuple[str, ...] = ()
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    min_properties: int = 0
    max_properties: int | None = None

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """Compiled when it is first asked for: a scenario meets few of them."""
        return None if self.regex is None else compiled(self.regex)

    def is_type(self, node: Node) -> bool:
        """Whether the node is a mapping, a list or a scalar of a type that this takes."""
        if type(node) is Scalar:
            kind = type(node.value)
            if kind is float and self.integral:
                return node.value.is_integer()  # type: ignore[union-attr]
            return kind in self.scalars
        return self.takes_map if type(node) is Map else self.takes_list

    def fits(self, node: Scalar) -> bool:
        """Whether the scalar is what this asks for."""
        if not self.is_type(node):
            return False
        value = node.value
        if type(value) is str:
            return self.fits_text(value)
        if self.enum is not None and value not in self.enum:
            return False
        if (self.low is None and self.high is None) or not _is_number(value):
            return True
        low, high = self.low, self.high
        return (low is None or low <= value) and (high is None or value <= high)  # type: ignore[operator]

    def fits_text(self, text: str) -> bool:
        """Whether ``text``, which may be a key, is what this asks for."""
        if self.enum is not None and text not in self.enum:
            return False
        if self.pattern is not None and self.pattern.search(text) is None:
            return False
        return len(text) >= self.min_length


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shape_of(schema: Schema) -> Shape:
    """The shape of a whole schema."""
    return _Maker(schema).shape(schema)


class _Maker:
    def __init__(self, root: Schema) -> None:
        self._definitions: Schema = root.get("definitions", {})
        self._made: dict[int, Shape] = {}

    def shape(self, schema: Schema) -> Shape:
        """Made once for each subschema, since definitions refer to themselves."""
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        made = self._made.get(id(schema))
        if made is None:
            made = self._made[id(schema)] = Shape(schema)
            self._fill(made, schema)
        return made

    def _fill(self, shape: Shape, schema: Schema) -> None:
        if types := types_of(schema):
            shape.takes_map, shape.takes_list = "object" in types, "array" in types
            shape.scalars = frozenset(kind for name in types for kind in _SCALARS.get(name, ()))
            shape.integral = "integer" in types and "number" not in types
        enum = schema.get("enum")
        shape.enum = None if enum is None else tuple(enum)
        shape.regex = schema.get("pattern")
        shape.min_length = schema.get("minLength", 0)
        shape.low, shape.high = schema.get("minimum"), schema.get("maximum")
        shape.min_items, shape.max_items = schema.get("minItems", 0), schema.get("maxItems")
        shape.required = tuple(schema.get("required", ()))
        shape.dependencies = {
            name: tuple(needed) for name, needed in schema.get("dependencies", {}).items()
        }
        shape.min_properties = schema.get("minProperties", 0)
        shape.max_properties = schema.get("maxProperties")
        shape.items = self._below(schema, "items")
        shape.names = self._below(schema, "propertyNames")
        further = schema.get("additionalProperties", True)
        shape.further = further if isinstance(further, bool) else self.shape(further)
        for name, below in schema.get("properties", {}).items():
            shape.properties[name] = self.shape(below)

    def _below(self, schema: Schema, keyword: str) -> Shape | None:
        below = schema.get(keyword)
        return None if below is None else self.shape(below)


def types_of(schema: Schema) -> list[str]:
    """The names of the types that ``schema`` takes; none where it takes all."""
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else declared


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)

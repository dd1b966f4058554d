"""What is said of a value that the schema does not allow."""

from __future__ import annotations

import re
from typing import Final

from vcpu_scenario.host.printable import printable
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence, text_of
from vcpu_scenario.language.problems import Near
from vcpu_scenario.language.shapes import Schema, Shape, types_of
from vcpu_scenario.source import quoted

_NAMES: Final = {
    "object": "mapping",
    "array": "list",
    "string": "text",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "null": "null",
}


def article(name: str) -> str:
    word = _NAMES[name]
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def described(node: Node) -> str:
    if isinstance(node, Sequence):
        return f"a list of {len(node.items)}"
    if isinstance(node, Map):
        return "a mapping with " + (", ".join(key.text for key, _ in node.entries[:6]) or "no keys")
    if node.value is None:
        return "nothing" if not node.text else f"{node.text}, which is null"
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a text"}
    return f"{quoted(node.text)}, {kinds[type(node.value)]}"


_ONE_OF: Final = re.compile(r"\^\(((?:[\w|-]|\\\.)+)\)\$(?:\|\\\$\\\{)?\Z")
"""A pattern that is a choice of words, or of those and parameters."""


def choices(schema: Schema) -> tuple[str, ...]:
    """The words that a text has to be one of, by its pattern."""
    found = _ONE_OF.match(schema.get("pattern", ""))
    return tuple(found[1].replace("\\.", ".").split("|")) if found is not None else ()


def near_words(node: Node, shape: Shape) -> Near | None:
    words = choices(shape.schema)
    return (node.text, words) if words and isinstance(node, Scalar) else None


def hint_for(node: Node, shape: Shape) -> str:
    if types_of(shape.schema) == ["array"]:
        return _as_a_list(node) if shape.items is None or shape.items.is_type(node) else ""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return (int in shape.scalars and number_meant(node.text)) or _as_a_character(node, shape)
    if not isinstance(node, Scalar) or not node.text:
        return ""
    if node.style != "plain" or str not in shape.scalars or shape.is_type(node):
        return ""
    if node.value is None:
        return "leave out what has no value"
    fits = shape.pattern is None or shape.pattern.search(node.text)
    return f'quote it: "{node.text}"' if fits else ""


_UNIT: Final = re.compile(r"([0-9]+) ?([KMGT])i?B?\Z", re.IGNORECASE)
_HEX: Final = re.compile(r"([0-9][0-9A-Fa-f_]+|(?=[^_]*[0-9])[A-Fa-f][0-9A-Fa-f_]{7,})h?\Z")
"""A shorter one that begins with a letter is rather a name."""
_BINARY: Final = re.compile(r"0[bB]([01_]*[01])\Z")


def number_meant(text: str) -> str:
    """How a number is written that ``text`` may be; empty where it is like none."""
    if unit := _UNIT.match(text):
        return f"write {unit[1]}{unit[2].upper()}iB"
    if binary := _BINARY.match(text):
        return f"write {int(binary[1].replace('_', ''), 2):#x}: a number is decimal, 0x or 0o"
    digits = _HEX.match(text)
    return f"write 0x{digits[1]}" if digits else ""


def expected_of(node: Node, shape: Shape) -> str:
    """What a value is to be."""
    types = types_of(shape.schema)
    said: str = shape.schema.get("title") or " or ".join(map(article, types))
    if said == "a mapping" and shape.properties:
        return f"{said}: {', '.join([*shape.properties][:_SHOWN])}"
    number = node.value if isinstance(node, Scalar) and shape.is_type(node) else None
    if isinstance(number, int | float) and shape.low is not None and number < shape.low:
        return f"{said}; at least {shape.low:g}"
    is_short = isinstance(node, Scalar) and str in shape.scalars and not node.text
    return f"{said} that is not empty" if is_short and shape.min_length else said


_SHOWN: Final = 8


def _as_a_character(node: Scalar, shape: Shape) -> str:
    character = f"'{node.text}'"
    fits = len(node.text) == 1 and shape.pattern is not None and shape.pattern.search(character)
    return f'the code of a character is written "{character}"' if fits else ""


def _as_a_list(node: Node) -> str:
    if isinstance(node, Map):
        return "this is a list, also of one: begin each item with `- `" if node.entries else ""
    text = text_of(node)
    plain = text and "\n" not in text and len(text) <= 40 and not set(text) & set("[]{},:#'\"")
    return f"a list of one is written [{printable(text)}]" if plain else ""

"""The nodes of a YAML document, and what a scalar means by YAML 1.2's core schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from vcpu_scenario.source import Span

MAX_INTEGER_DIGITS: Final = 40
"""A longer integer is no 64-bit number in any base, and reading it may take very long."""

Value: TypeAlias = bool | int | float | str | None
Style = Literal["plain", "quoted", "literal", "folded"]


class Scalar(Struct, frozen=True):
    """``value`` is what the core schema makes of ``text``; ``dynamic`` if it has parameters."""

    value: Value
    text: str
    style: Style
    span: Span
    dynamic: bool = False


class Sequence(Struct, frozen=True):
    """``faulty`` if items were taken out because something is wrong with them."""

    items: tuple[Node, ...]
    span: Span
    dynamic: bool = False
    faulty: bool = False


class Map(Struct, frozen=True):
    """A mapping: its entries in the file's order, no key twice.

    ``faulty`` if entries were taken out because something is wrong with them: what is missing
    then may only be missing for that.
    """

    entries: Entries
    span: Span
    dynamic: bool = False
    faulty: bool = False

    def get(self, name: str) -> Node | None:
        """The value under the key ``name``, or None where there is none."""
        for key, value in self.entries:
            if key.text == name:
                return value
        return None

    def key(self, name: str) -> Scalar | None:
        """The key ``name`` itself, for its span."""
        return next((key for key, _ in self.entries if key.text == name), None)


Node: TypeAlias = Scalar | Sequence | Map
Entries: TypeAlias = tuple[tuple[Scalar, Node], ...]


def is_faulty(node: Node | None) -> bool:
    """Whether something is wrong with ``node``, or anywhere within it, and was taken out."""
    if isinstance(node, Sequence):
        return node.faulty or any(map(is_faulty, node.items))
    if isinstance(node, Map):
        return node.faulty or any(is_faulty(value) for _, value in node.entries)
    return False


def text_of(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def items_of(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def entries_of(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    return node.entries if isinstance(node, Map) else ()


def value_at(node: Node | None, key: str) -> Node | None:
    return node.get(key) if isinstance(node, Map) else None


PARAMETER: Final = "${"

_INFINITY = float("inf")
_WORDS: Final[Mapping[str, Value]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), _INFINITY),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -_INFINITY),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], Value]], ...]] = (
    (re.compile(r"[-+]?[0-9]+\Z"), int),
    (re.compile(r"0x[0-9a-fA-F]+\Z"), lambda text: int(text, 16)),
    (re.compile(r"0o[0-7]+\Z"), lambda text: int(text, 8)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z"), float),
)


def resolve(text: str) -> Value:
    """What a plain scalar means by the core schema of YAML 1.2 (section 10.3)."""
    if text in _WORDS:
        return _WORDS[text]
    if text.isalpha():
        return text
    if text[0] in "0123456789+-." and len(text) <= MAX_INTEGER_DIGITS:
        for pattern, convert in _NUMBERS:
            if pattern.match(text):
                return convert(text)
    return text


def scalar(text: str, style: Style, span: Span) -> Scalar:
    """The scalar that ``text`` is; a plain one may be a number, a boolean or null."""
    value = resolve(text) if style == "plain" else text
    return Scalar(value, text, style, span, PARAMETER in text)


def to_plain(node: Node) -> Any:
    """The node as lists, dicts and scalars, without spans; keys are the text of theirs."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [to_plain(item) for item in node.items]
    return {key.text: to_plain(value) for key, value in node.entries}

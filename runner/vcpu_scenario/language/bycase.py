"""Where in a clause something may depend on the case: exits, stops, entries and values.

It is known here and nowhere else; what is done at such a place is a :class:`Visitor`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.actions import KINDS
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence

CONDITIONS: Final = frozenset(("kernels", "vmm", "host", "when"))
"""The keys of an exit or a stop that say when it comes."""
ELSE: Final = "else"
BOUNDS: Final = frozenset(("least", "most"))
"""The keys of a ``repeat`` that is no value by case."""

Left: TypeAlias = Callable[[Node], Node | None]
"""What is left of a part; None where nothing is."""

_EVERY: Final = "*"


class _Place(Struct, frozen=True):
    """Of what stands at a key: whether it may depend on the case, and which of its parts may, by
    their keys, or all of them."""

    itself: bool
    parts: Mapping[str, _Place]


def _place(schema: Mapping[str, Any]) -> _Place:
    properties = dict(schema.get("properties", {}))
    if isinstance(every := schema.get("additionalProperties"), Mapping):
        properties[_EVERY] = every
    return _Place(schema.get("$ref", "").endswith("_by_case"), _places(properties))


def _places(properties: Mapping[str, Mapping[str, Any]]) -> Mapping[str, _Place]:
    """Those of them of which something may depend on the case."""
    found = {key: _place(schema) for key, schema in properties.items()}
    return {key: place for key, place in found.items() if place.itself or place.parts}


_OF_ACTION: Final = _places({key: schema for kind in KINDS for key, schema in kind.schema.items()})
"""By the keys of actions."""


class Visitor(Protocol):
    """What is done at each part of a clause that may depend on the case."""

    def goes_through(self, item: Node) -> bool:
        """Whether an exit, a stop or an entry of the ring is to be taken apart: it stays as it
        is otherwise."""

    def comes(self, body: Map) -> bool:
        """Whether an exit, a stop or an entry of the ring is there."""

    def value(self, choices: Map, rest: Left, *, whole: bool) -> Node | None:
        """What is left of a value by case; ``rest`` does the same with each of its values.
        ``whole`` if there has to be one for each case."""


def rewritten(clause: Map, visitor: Visitor) -> Map:
    """What ``visitor`` leaves of the clause, without the conditions."""
    return _Rewriting(visitor).clause(clause)


class _Rewriting(Struct, frozen=True):
    visitor: Visitor

    def clause(self, clause: Map) -> Map:
        parts: Mapping[str, Left] = {
            "about": self.prose,
            "exits": lambda node: self.items(node, self.exit),
            "never": lambda node: self.items(node, self.exit),
            "stops": lambda node: self.items(node, self.body),
            "final": self.final,
            "refused": self.values,
        }
        return _each(clause, lambda key, node: parts.get(key, _same)(node))

    def final(self, node: Node) -> Node:
        parts: Mapping[str, Left] = {
            "memory": lambda node: _list(node, self.bytes),
            "ring": lambda node: self.items(node, self.body),
        }
        if not isinstance(node, Map):
            return node
        return _each(node, lambda key, value: parts.get(key, self.values)(value))

    def items(self, node: Node, of: Left) -> Node:
        goes_through = self.visitor.goes_through
        return _list(node, lambda item: of(item) if goes_through(item) else item)

    def exit(self, item: Node) -> Node | None:
        if not isinstance(item, Map):
            return item
        left = _each(item, lambda _, body: self.body(body))
        return left if left.entries or not item.entries else None

    def body(self, body: Node) -> Node | None:
        if not isinstance(body, Map) or _is_flat(body):
            return body
        if any(key.text in CONDITIONS for key, _ in body.entries):
            if not self.visitor.comes(body):
                return None
            kept = tuple(entry for entry in body.entries if entry[0].text not in CONDITIONS)
            body = replace(body, entries=kept)
        return _each(body, self.part)

    def part(self, key: str, node: Node) -> Node | None:
        if key == "regs":
            return self.values(node)
        if key == "note":
            return self.prose(node)
        if key == "then":
            doings = self.value(node)
            return None if doings is None else _list(doings, self.action)
        return self.value(node)

    def action(self, item: Node) -> Node:
        """An action, with the error that it gives in this case, if it gives one."""
        if not isinstance(item, Map):
            return item
        return self.parts(item, _OF_ACTION)

    def parts(self, node: Map, places: Mapping[str, _Place]) -> Map:
        every = places.get(_EVERY)

        def left(key: str, part: Node) -> Node | None:
            place = places.get(key, every)
            if place is None:
                return part
            if place.itself:
                return self.value(part)
            return self.parts(part, place.parts) if isinstance(part, Map) else part

        return _each(node, left)

    def bytes(self, item: Node) -> Node | None:
        """Bytes that are expected; nothing where there are none in this case."""
        if not isinstance(item, Map):
            return item
        left = _each(item, lambda _, node: self.value(node))
        return left if len(left.entries) == len(item.entries) else None

    def values(self, node: Node) -> Node:
        return _each(node, lambda _, value: self.value(value)) if isinstance(node, Map) else node

    def value(self, node: Node) -> Node | None:
        return self.choice(node, whole=True)

    def prose(self, node: Node) -> Node | None:
        return self.choice(node, whole=False)

    def choice(self, node: Node, *, whole: bool) -> Node | None:
        if not isinstance(node, Map) or {key.text for key, _ in node.entries} <= BOUNDS:
            return node

        def rest(value: Node) -> Node | None:
            nothing = isinstance(value, Scalar) and value.value is None
            return None if nothing else self.choice(value, whole=whole)

        return self.visitor.value(node, rest, whole=whole)


def _is_flat(body: Map) -> bool:
    """Whether it has nothing but single values, and no condition: most exits are such."""
    for key, value in body.entries:
        if not isinstance(value, Scalar) or key.text in CONDITIONS:
            return False
    return True


# What stays as it was is the same node, so that who reads it again knows it.


def _list(node: Node, item: Left) -> Node:
    if not isinstance(node, Sequence):
        return node
    left = [item(one) for one in node.items]
    if all(map(is_, left, node.items)):
        return node
    return replace(node, items=tuple(one for one in left if one is not None))


def _same(node: Node) -> Node:
    return node


def _each(node: Map, of: Callable[[str, Node], Node | None]) -> Map:
    left: list[tuple[Scalar, Node]] = []
    same = True
    for entry in node.entries:
        key, value = entry
        now = of(key.text, value)
        if now is not value:
            same = False
            if now is None:
                continue
            entry = key, now
        left.append(entry)
    return node if same else replace(node, entries=tuple(left))

"""One kind of action: all that there is to say of it, in one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from vcpu_scenario.case import Action, Memslot
from vcpu_scenario.machine.interface import Machine

Node: TypeAlias = Any
"""A value in a scenario, as the language has parsed it and the schema has accepted it."""

Name: TypeAlias = Callable[[int], str]
"""What an address is called."""


class Unwritable(ValueError):
    """The language has no words for it, or the text no place. ``line`` is where, 0 if nowhere."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


class Reader(Protocol):
    """Takes values out of a scenario. Each method notes itself what is wrong with one, at its
    place, and then returns something that fits."""

    @property
    def last_vcpu(self) -> int:
        """How many vCPUs the VM has."""

    def word(self, node: Node, bits: int = 64) -> int: ...

    def number(self, node: Node, *, low: int, high: int) -> int: ...

    def address(self, node: Node) -> int: ...

    def flag(self, node: Node | None, default: bool = False) -> bool: ...

    def text(self, node: Node) -> str: ...

    def items(self, node: Node | None) -> Iterable[Node]:
        """The items of a list, none where there is no list."""

    def entries(self, node: Node) -> Iterable[tuple[str, Node]]:
        """The keys and values of a mapping."""

    def registers(self, node: Node) -> Iterable[tuple[str, int]]:
        """Names of registers, with the value for each."""

    def refusals(self, node: Node | None) -> tuple[tuple[str, int], ...]:
        """Names of registers, with the errno for each."""

    def snapshot(self, node: Node, *, taken: bool) -> str:
        """The name of a snapshot: of one that is ``taken``, or that has to have been."""

    def placed_bytes(self, node: Node) -> tuple[int, bytes]:
        """Bytes with the address (IPA) at which they are to be."""

    def new_slot(self, node: Node) -> Memslot: ...

    def complain(self, message: str, node: Node, *, found: str, expected: str) -> None: ...


_Action = TypeVar("_Action", bound=Action)


class Kind(Struct, Generic[_Action], frozen=True):
    """``record`` is its class; ``schema`` maps each key that the language has for it to what may
    stand there.

    ``read`` makes actions of what stands at a key, ``write`` is the reverse of it for one action
    and may raise :class:`Unwritable`. ``perform`` does the action and raises what the machine
    raises; ``words`` says it as the uAPI does.
    """

    record: type[_Action]
    schema: Mapping[str, Mapping[str, Any]]
    read: Callable[[str, Node, Reader], Iterable[_Action]]
    write: Callable[[_Action], dict[str, Any]]
    perform: Callable[[Machine, _Action], None]
    words: Callable[[_Action, Name], str]


def number(description: str) -> dict[str, str]:
    """The schema of a number."""
    return {"$ref": "#/definitions/number", "description": description}


def of(definition: str, description: str, **more: Any) -> dict[str, Any]:
    """The schema of what the language has a definition for."""
    return {"$ref": f"#/definitions/{definition}", "description": description, **more}


def fields(description: str, required: Iterable[str], **keys: Any) -> dict[str, Any]:
    """The schema of a mapping with these keys and no others."""
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": keys,
    }


def bare(
    action: _Action,
    key: str,
    description: str,
    perform: Callable[[Machine, _Action], None],
    words: str,
) -> Kind[_Action]:
    """A kind of action of which there is nothing to say but ``key: true``."""
    return Kind(
        type(action),
        schema={key: {"description": description, "type": "boolean", "enum": [True]}},
        read=lambda key, node, reader: [action],
        write=lambda action: {key: True},
        perform=perform,
        words=lambda action, name: words,
    )

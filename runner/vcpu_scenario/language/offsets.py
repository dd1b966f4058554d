"""Registers of userspace's devices, by their names or offsets: each once, and none that the guest
could never read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from vcpu_scenario.language.nodes import Node, Scalar, Sequence, entries_of
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted
from vcpu_scenario.vmm.devices import stored

Replies: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]


class Places(NamedTuple):
    """Where the registers of ``device`` are: ``names`` has the offsets of those that have one."""

    device: str
    size: int
    names: Mapping[str, int]
    scope: Scope


class Value(NamedTuple):
    """What is at an offset at first, and the text that says where."""

    offset: int
    value: int
    name: Scalar


def read_values(node: Node | None, places: Places, hidden: Mapping[int, str]) -> list[Value]:
    """What registers hold; ``hidden`` says of those that never show it what they read as."""
    found = []
    for offset, name, value in _by_offset(node, places):
        found.append(Value(offset, places.scope.word(value), name))
        if offset in hidden:
            places.scope.problems.add(
                f"{quoted(places.device)} never shows a value that is put in {quoted(name.text)}",
                name.span,
                help=f"leave it out: it reads as {hidden[offset]}",
            )
    return found


def read_replies(node: Node | None, places: Places) -> Replies:
    return tuple(
        (offset, tuple(map(places.scope.word, value.items)))
        for offset, _, value in _by_offset(node, places)
        if isinstance(value, Sequence)
    )


def shown_instead(replies: Replies) -> Mapping[int, str]:
    """What the registers read as that have replies."""
    return {offset: "its `replies`, of which the last stays" for offset, _ in replies}


def check_bytes(registers: list[Value], places: Places) -> None:
    """Reports registers that replace bytes of others, but for bytes that are 0."""
    bytes_at: dict[int, tuple[int, Scalar]] = {}
    for offset, value, name in registers:
        lost = {}
        for at, byte in enumerate(stored(value), offset):
            before, first = bytes_at.get(at, (0, name))
            if before not in (0, byte) and first is not name:
                lost[first.text] = at
            bytes_at[at] = byte, name
        for replaced, at in lost.items():
            places.scope.problems.add(
                f"{quoted(name.text)} replaces a byte of {quoted(replaced)}",
                name.span,
                found=f"{len(stored(value))} bytes from {offset:#x} on, and one that is not 0"
                f" at {at:#x}",
            )


def _by_offset(node: Node | None, places: Places) -> Iterator[tuple[int, Scalar, Node]]:
    seen: dict[int, Scalar] = {}
    problems = places.scope.problems
    for name, value in entries_of(node):
        reports = problems.reports
        offset = _offset(name, places)
        if problems.reports == reports and (first := seen.setdefault(offset, name)) is not name:
            problems.add(
                f"{quoted(name.text)} is the same register as {quoted(first.text)}", name.span
            )
        yield offset, name, value


def _offset(name: Scalar, places: Places) -> int:
    _, size, names, scope = places
    if (offset := names.get(name.text)) is not None:
        if offset >= size:
            scope.problems.add(
                f"{quoted(name.text)} is at {offset:#x}, behind the device's end", name.span
            )
        return offset
    if names and name.text[:1].isalpha():
        scope.problems.add(
            f"{quoted(places.device)} has no register {quoted(name.text)}",
            name.span,
            expected="the name of a register or an offset",
            near=(name.text, names),
        )
        return 0
    return scope.number(name, high=size - 1)

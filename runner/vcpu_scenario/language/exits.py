"""Expected exits: what stands in ``exits:``, and what the VMM does after each."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Struct, field

from vcpu_scenario.case import Action, SetMmioData
from vcpu_scenario.expectation import ExpectedExit, RegisterCheck
from vcpu_scenario.language.actions import Doings, read_each
from vcpu_scenario.language.exitkinds import KINDS
from vcpu_scenario.language.exitvariant import Variant
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence, entries_of, text_of
from vcpu_scenario.language.scope import Meaning, Scope
from vcpu_scenario.source import Span


class ReadExit(NamedTuple):
    """An expected exit, and what the VMM does after it."""

    expected: ExpectedExit
    actions: tuple[Action, ...]
    acting: Span | None
    """The text that asks for the actions, where there are any."""
    each: tuple[Span, ...]
    """The text of each."""


_MOST_KEPT: Final = 10_000


class ExitReader(Struct):
    """Reads exits; one that stands in several variants of a clause, or for several combinations of
    parameters, is read once where its names mean the same in all of them."""

    _meaning: Meaning | None = None
    _read: dict[int, tuple[Map, int, ExpectedExit]] = field(default_factory=dict)
    """By the identity of their nodes, which are kept, so that no other node can have it."""

    def of(self, scope: Scope) -> ExitReader:
        """The reader for the names of ``scope``; forgets what was read with others."""
        if scope.meaning != self._meaning:
            self._meaning = scope.meaning
            self._read.clear()
        return self

    def exits(self, node: Node | None, doings: Doings) -> tuple[ReadExit, ...] | None:
        """The exits that the list ``node`` describes; None where there is no list."""
        if not isinstance(node, Sequence):
            return None
        return tuple(
            self._exit(key, value, doings)
            for item in node.items
            if isinstance(item, Map)
            for key, value in item.entries
            if isinstance(value, Map)
        )

    def _exit(self, key: Scalar, body: Map, doings: Doings) -> ReadExit:
        problems, last_vcpu = doings.scope.problems, doings.scope.last_vcpu
        known = self._read.get(id(body))
        if known is not None and known[1] == last_vcpu:
            return _with_actions(known[2], body, doings)
        before = problems.reports
        expected = _expected(key, body, doings)
        # What is wrong belongs to each variant, and so does what actions do to memory.
        if problems.reports == before:
            if len(self._read) >= _MOST_KEPT:
                self._read.clear()
            self._read[id(body)] = body, last_vcpu, expected
        return _with_actions(expected, body, doings)


def read_pattern(node: Node, doings: Doings) -> ExpectedExit | None:
    """What the mapping ``node`` says of the exits that an action waits for."""
    entries = entries_of(node)
    bodies = ((key, body) for key, body in entries if isinstance(body, Map))
    return next((_expected(key, body, doings, whole=False) for key, body in bodies), None)


def _expected(key: Scalar, body: Map, doings: Doings, *, whole: bool = True) -> ExpectedExit:
    variant = Variant(key, body, doings, whole)
    KINDS[key.text](variant)
    variant.address("pc")
    variant.word("device_irq_level")
    _vcpu(variant)
    least, most = _repeat(body.get("repeat"), doings.scope)
    start, end = key.span, body.span
    span = Span(start.file, start.line, start.column, end.end_line, end.end_column)
    note = body.get("note")
    return ExpectedExit(
        key.text,
        tuple(variant.checks),
        read_register_checks(body.get("regs"), doings.scope),
        span,
        least,
        most,
        text_of(note),
    )


def _with_actions(expected: ExpectedExit, body: Map, doings: Doings) -> ReadExit:
    then, reply = body.get("then"), body.get("reply")
    if then is None and reply is None:
        return ReadExit(expected, (), None, ())
    asked = read_each(then, doings)
    if reply is not None:
        asked.insert(0, (SetMmioData(doings.scope.word(reply)), reply.span))
    acting = then if then is not None else reply  # more can go wrong with the one
    actions, each = tuple(action for action, _ in asked), tuple(span for _, span in asked)
    return ReadExit(expected, actions, acting.span if acting is not None and asked else None, each)


def _vcpu(variant: Variant) -> None:
    """Whose exit it is, where there are several vCPUs."""
    node, scope = variant.body.get("vcpu"), variant.scope
    if isinstance(node, Scalar) and node.text == "any":
        return
    number = 0 if node is None else scope.number(node, high=scope.last_vcpu)
    if not scope.last_vcpu:
        return  # all exits are of the one, and do not say so
    if node is not None:
        variant.check("vcpu", number, node)
    elif variant.whole and variant.key.text != "any":
        variant.check("vcpu", number, variant.key)


def read_register_checks(node: Node | None, scope: Scope) -> tuple[RegisterCheck, ...]:
    """``{x1: 0x90}`` as checks of registers' values."""
    return tuple(
        RegisterCheck(name, number, text_of(value), value.span)
        for name, number, value in scope.registers(node)
    )


def _repeat(node: Node | None, scope: Scope) -> tuple[int, int | None]:
    if node is None:
        return 1, 1
    if not isinstance(node, Map):
        times = scope.number(node, low=1, high=1_000_000)
        return times, times
    least, most = node.get("least"), node.get("most")
    low = scope.number(least, high=1_000_000) if least is not None else 1
    if most is None:
        return low, None
    high = scope.number(most, low=1, high=1_000_000)
    if high < low:
        scope.problems.add(
            "the most is less than the least", most.span, found=f"{high} after {low}"
        )
    return low, high

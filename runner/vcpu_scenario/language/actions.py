"""What the VMM does between two runs, as a scenario asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import vcpu_scenario.actions as actions
from vcpu_scenario.actions import attempt
from vcpu_scenario.actions.guestdebug import read_guest_debug
from vcpu_scenario.case import Action, Attempt, GuestDebug, Memslot
from vcpu_scenario.language.errno import read_errno
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.memory import Bytes, Memory, joined, read_placed, read_slot
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.scope import Scope


@dataclass(slots=True)
class Doings:
    """Reads actions (a :class:`vcpu_scenario.actions.kind.Reader`), and keeps what they do to
    memory, for checking once all is read."""

    scope: Scope
    folder: Folder
    written: list[Bytes] = field(default_factory=list)
    added: Memory = field(default_factory=Memory)

    def branch(self) -> Doings:
        """The same so far, for one of several courses that a run may take from here."""
        added = joined(self.added, Memory())
        return Doings(self.scope, self.folder, list(self.written), added)

    @property
    def vcpus(self) -> int:
        return self.scope.vcpus

    def word(self, node: Node | None, bits: int = 64) -> int:
        return self.scope.word(node, bits)

    def number(self, node: Node | None, *, low: int, high: int) -> int:
        return self.scope.number(node, low=low, high=high)

    def address(self, node: Node | None) -> int:
        return self.scope.address(node)

    def flag(self, node: Node | None, default: bool = False) -> bool:
        return self.scope.flag(node, default)

    def text(self, node: Node) -> str:
        return node.text if isinstance(node, Scalar) else ""

    def items(self, node: Node | None) -> Iterable[Node]:
        return node.items if isinstance(node, Sequence) else ()

    def entries(self, node: Node | None) -> Iterable[tuple[str, Node]]:
        return ((key.text, value) for key, value in (node.entries if isinstance(node, Map) else ()))

    def registers(self, node: Node | None) -> Iterable[tuple[str, int]]:
        return ((name, value) for name, value, _ in self.scope.registers(node))

    def placed_bytes(self, node: Node) -> tuple[int, bytes]:
        written = read_placed(node, self.scope, self.folder)
        self.written.append(written)
        return written.addr, written.data

    def new_slot(self, node: Node) -> Memslot:
        assert isinstance(node, Map)
        before = self.scope.problems.reports
        slot, span = read_slot(node, self.scope)
        if self.scope.problems.reports > before:
            self.added.complete = False
        else:
            self.added.add(slot, span)
        return slot

    def complain(self, message: str, node: Node, *, found: str, expected: str) -> None:
        self.scope.problems.add(message, node.span, found=found, expected=expected)


def read_actions(node: Node | None, doings: Doings) -> tuple[Action, ...]:
    """The actions that the list ``node`` describes."""
    return tuple(action for item in doings.items(node) for action in _read_action(item, doings))


def _read_action(item: Node, doings: Doings) -> Iterator[Action]:
    """What one item asks for: with ``errno`` beside it, an attempt."""
    errno = item.get(attempt.KEY) if isinstance(item, Map) else None
    number = 0 if errno is None else read_errno(errno, doings.scope)
    if isinstance(item, Map) and len(item.entries) != 1 + (errno is not None) and not item.faulty:
        doings.complain(
            "one item is one action",
            item,
            found=", ".join(key for key, _ in doings.entries(item)),
            expected="one action, and `errno` beside it where the kernel is to refuse it",
        )
    for key, value in doings.entries(item):
        for action in actions.read(key, value, doings):
            yield action if errno is None else Attempt(action, number)


def read_debug(node: Node | None, doings: Doings) -> GuestDebug | None:
    """The ``KVM_SET_GUEST_DEBUG`` that the mapping ``node`` describes, None where there is none."""
    return read_guest_debug(node, doings) if isinstance(node, Map) else None

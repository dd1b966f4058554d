"""What the VMM does between two runs, as a scenario asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, field

import vcpu_scenario.actions as actions
from vcpu_scenario.actions.attempt import KEY as ERRNO
from vcpu_scenario.actions.guestdebug import read_guest_debug
from vcpu_scenario.case import FOR_THE_NEXT_RUN, Action, Attempt, Memslot, SetRegister, WriteMemory
from vcpu_scenario.ioctls.devices import ReadResamples, SignalIrqfd
from vcpu_scenario.ioctls.doorbells import EmptyRing, ReadIoeventfd
from vcpu_scenario.ioctls.memory import DiscardMemory, GetUserfaults, SetMemoryRegion
from vcpu_scenario.ioctls.vcpu import GuestDebug, InitVcpu, SetGuestDebug, SetMpState, SetVcpuEvents
from vcpu_scenario.ioctls.vm import (
    Ask,
    CreateIrqchip,
    CreateVcpu,
    CreateVm,
    EnableCap,
    GetRegister,
    RestoreSnapshot,
    SetCounterOffset,
    SetSmcccFilter,
    TakeSnapshot,
)
from vcpu_scenario.language.errno import read_errno
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.memory import Bytes, Memory, joined, read_placed, read_slot
from vcpu_scenario.language.nodes import Map, Node, Scalar, entries_of, items_of, text_of, value_at
from vcpu_scenario.language.scope import MAX_VCPUS, Scope
from vcpu_scenario.source import Span, quoted

_CANNOT_BE_REFUSED = (
    *FOR_THE_NEXT_RUN,
    EmptyRing,
    SignalIrqfd,
    ReadResamples,
    ReadIoeventfd,
    WriteMemory,
    DiscardMemory,
    GetUserfaults,
    TakeSnapshot,
    RestoreSnapshot,
)
"""Actions that are no ioctl, or several."""
_BEFORE_THE_SETUP = (
    CreateVm,
    CreateVcpu,
    CreateIrqchip,
    EnableCap,
    Ask,
    GetRegister,
    SetRegister,
    SetVcpuEvents,
    SetMpState,
    SetGuestDebug,
    InitVcpu,
    SetMemoryRegion,
    SetCounterOffset,
    SetSmcccFilter,
)
"""Actions that need neither memory nor a vCPU that is initialised."""


def _nothing_told() -> bool:
    return False


class Doings(Struct):
    """Reads actions (a :class:`vcpu_scenario.actions.kind.Reader`), and keeps what they do to
    memory, for checking once all is read."""

    scope: Scope
    folder: Folder
    written: list[Bytes] = field(default_factory=list)
    added: Memory = field(default_factory=Memory)
    taken: set[str] = field(default_factory=set)
    """The names of snapshots."""
    restored: list[Scalar] = field(default_factory=list)
    told: Callable[[], bool] = _nothing_told
    """Whether something is wrong with a part of the action that is being read, and told."""

    def branch(self) -> Doings:
        """The same so far, for one of several courses that a run may take from here."""
        added = joined(self.added, Memory())
        return Doings(
            self.scope, self.folder, list(self.written), added, {*self.taken}, [*self.restored]
        )

    @property
    def last_vcpu(self) -> int:
        return self.scope.last_vcpu

    def word(self, node: Node | None, bits: int = 64) -> int:
        return self.scope.word(node, bits)

    def number(self, node: Node | None, *, low: int, high: int) -> int:
        return self.scope.number(node, low=low, high=high)

    def address(self, node: Node | None) -> int:
        return self.scope.address(node)

    def flag(self, node: Node | None, default: bool = False) -> bool:
        return self.scope.flag(node, default)

    def text(self, node: Node) -> str:
        return text_of(node)

    def items(self, node: Node | None) -> Iterable[Node]:
        return items_of(node)

    def entries(self, node: Node | None) -> Iterable[tuple[str, Node]]:
        return ((key.text, value) for key, value in entries_of(node))

    def registers(self, node: Node | None) -> Iterable[tuple[str, int]]:
        return ((name, value) for name, value, _ in self.scope.registers(node))

    def refusals(self, node: Node | None) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for key, value in entries_of(node):
            if (name := self.scope.register(key)) is not None:
                found[name] = read_errno(value, self.scope)
        return tuple(found.items())

    def snapshot(self, node: Node, *, taken: bool) -> str:
        name = self.text(node)
        if taken:
            self.taken.add(name)
        elif isinstance(node, Scalar):
            self.restored.append(node)
        return name

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
        if not self.told() and not self.scope.problems.took_from(node):
            self.scope.problems.add(message, node.span, found=found, expected=expected)


def read_each(node: Node | None, doings: Doings) -> list[tuple[Action, Span]]:
    """The actions that the list ``node`` describes, each with the text that asks for it."""
    return [
        (action, item.span) for item in doings.items(node) for action in _read_item(item, doings)
    ]


def read_first(node: Node | None, doings: Doings) -> list[tuple[Action, Span]]:
    """The same, of what is done to a VM before it is set up."""
    found = []
    for item in doings.items(node):
        for action in _read_item(item, doings):
            ioctl = action.action if isinstance(action, Attempt) else action
            if not isinstance(ioctl, _BEFORE_THE_SETUP):
                doings.complain(
                    "this has no place before the set-up",
                    item,
                    found=next((key for key, _ in doings.entries(item)), "none"),
                    expected="an ioctl of the VM, or vcpu_init; `before` has the others",
                )
            else:
                found.append((action, item.span))
    return found


def _read_item(item: Node, doings: Doings) -> Iterable[Action]:
    """The actions of one item: one key, and beside it the errno that it is to give."""
    entries = [entry for entry in doings.entries(item) if entry[0] != ERRNO]
    errno = value_at(item, ERRNO)
    if len(entries) != 1:
        if isinstance(item, Map) and item.faulty:
            doings.scope.created.add(MAX_VCPUS - 1)  # for all that is known of it
        else:
            found = ", ".join(key for key, _ in entries) or "none"
            doings.complain(
                "one item is one action",
                item,
                found=found,
                expected="one action, and `errno` beside it where the kernel is to refuse it",
            )
        return ()
    key, value = entries[0]
    problems, before = doings.scope.problems, doings.scope.problems.reports
    told = doings.told = lambda: problems.reports > before or problems.took_from(value)
    done = tuple(actions.read(key, value, doings))
    doings.told = _nothing_told
    if errno is not None and told():
        return done
    if errno is None:
        created = (action.vcpu for action in done if isinstance(action, CreateVcpu))
        doings.scope.created.update(created)
        return done
    if len(done) != 1 or isinstance(done[0], _CANNOT_BE_REFUSED):
        doings.complain(
            "the kernel cannot refuse this with one errno",
            errno,
            found=key if len(done) == 1 else f"{key} of {len(done)}",
            expected="one ioctl that the action makes",
        )
        return ()
    return (Attempt(done[0], read_errno(errno, doings.scope)),)


def read_debug(node: Node | None, doings: Doings) -> GuestDebug | None:
    """The ``KVM_SET_GUEST_DEBUG`` that the mapping ``node`` describes, None where there is none."""
    return read_guest_debug(node, doings) if isinstance(node, Map) else None


def check_snapshots(doings: Doings) -> None:
    """Reports what restores a snapshot that nothing takes."""
    for node in doings.restored:
        if node.text not in doings.taken:
            known = sorted(doings.taken)
            doings.scope.problems.add(
                f"no snapshot is called {quoted(node.text)}",
                node.span,
                expected=", ".join(known) or "a `snapshot` before it",
                near=(node.text, known),
            )

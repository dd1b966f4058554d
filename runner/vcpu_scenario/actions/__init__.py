"""What the VMM does between two runs: one record for each kind of action, with how it is read,
written, done and said. Standard library and records only: a lab's guest does actions too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from vcpu_scenario.actions import (
    attempt,
    attributes,
    creation,
    devices,
    doorbells,
    guestdebug,
    hypercalls,
    irqfds,
    memory,
    msi,
    pages,
    questions,
    registers,
    run,
    slots,
    snapshots,
    vcpu,
)
from vcpu_scenario.actions.kind import Kind, Name, Node, Reader
from vcpu_scenario.case import Action
from vcpu_scenario.machine.interface import Machine

_PLAIN: Final[tuple[Kind[Any], ...]] = (
    *guestdebug.KINDS,
    *registers.KINDS,
    *memory.KINDS,
    *slots.KINDS,
    *doorbells.KINDS,
    *pages.KINDS,
    *hypercalls.KINDS,
    *devices.KINDS,
    *attributes.KINDS,
    *msi.KINDS,
    *irqfds.KINDS,
    *vcpu.KINDS,
    *creation.KINDS,
    *questions.KINDS,
    *snapshots.KINDS,
    *run.KINDS,
)
KINDS: Final[tuple[Kind[Any], ...]] = (
    *_PLAIN,
    attempt.kind_of(
        lambda machine, action: perform(machine, action),
        lambda action: write(action),
        lambda action, name: words(action, name),
    ),
)
_BY_RECORD: Final[Mapping[type, Kind[Any]]] = {kind.record: kind for kind in KINDS}
_BY_KEY: Final[Mapping[str, Kind[Any]]] = {key: kind for kind in KINDS for key in kind.schema}


def read(key: str, node: Node, reader: Reader) -> Iterable[Action]:
    """The actions that ``node`` asks for at ``key``."""
    found: Iterable[Action] = _BY_KEY[key].read(key, node, reader)
    return found


def write(action: Action) -> dict[str, Any]:
    """The entry that reads as ``action``.

    Raises :class:`~vcpu_scenario.actions.kind.Unwritable`.
    """
    return _BY_RECORD[type(action)].write(action)


def perform(machine: Machine, action: Action) -> None:
    """Does ``action``. Raises what the machine raises."""
    _BY_RECORD[type(action)].perform(machine, action)


def words(action: Action, name: Name = hex) -> str:
    """``action`` as the uAPI says it; ``name`` says what an address is called."""
    return _BY_RECORD[type(action)].words(action, name)

"""Snapshots in C: the VM that continues from one, and what a program does not do beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from vcpu_scenario.case import Action, AddMemslot, Case
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import comment, function
from vcpu_scenario.export.vm import statement
from vcpu_scenario.ioctls.attributes import SetDeviceAttr
from vcpu_scenario.ioctls.devices import CreateDevice, Irqfd
from vcpu_scenario.ioctls.doorbells import AddIoeventfd
from vcpu_scenario.ioctls.memory import (
    DiscardMemory,
    GetUserfaults,
    SetHostMapping,
    SetMemoryRegion,
)
from vcpu_scenario.ioctls.vm import CreateVcpu, RestoreSnapshot, TakeSnapshot, has_new_vm

_AGAIN: Final = (
    *("create_vm", "add_memory", "enable_capabilities", "create_vcpu", "init_vcpu", "add_vgic"),
    *("add_ioeventfds", "add_coalesced_zones"),
)
"""Steps of the set-up that a new VM has as well: all but what a snapshot has, and guest debug."""


def refuse(case: Case, asked: Sequence[Action]) -> None:
    """Raises :class:`Unexportable` where a program would not do what a run does."""
    if not any(isinstance(one, TakeSnapshot | RestoreSnapshot) for one in asked):
        return
    if case.several or any(isinstance(one, CreateVcpu) for one in asked):
        raise Unexportable("a snapshot of several vCPUs")
    if any(isinstance(one, AddMemslot | SetMemoryRegion | SetHostMapping) for one in asked):
        raise Unexportable("a snapshot beside memory slots that change")
    if any(one.spi is not None or one.model == "cfi-flash" for one in case.devices):
        raise Unexportable("a snapshot beside a UART's interrupt or a CFI flash, which it lacks")
    if any(isinstance(one, GetUserfaults) for one in asked):
        raise Unexportable("a snapshot beside userfaults, among which it would be counted")
    if has_new_vm(asked) and any(
        isinstance(one, DiscardMemory) and one.userfaultfd for one in asked
    ):
        raise Unexportable("a new VM beside a userfaultfd")


def new_vm(
    case: Case, names: Names, asked: Sequence[Action], calls: Mapping[str, str]
) -> Iterator[str]:
    """The function that makes one in the place of the old one; ``calls`` are the steps of the
    set-up."""
    body = ["release_vm();"]
    if any(isinstance(one, CreateDevice) for one in asked):
        body.append("nr_its = 0;")
    if case.ioeventfds or any(isinstance(one, AddIoeventfd) for one in asked):
        body.append("nr_ioeventfds = 0;")
    if any(isinstance(one, Irqfd) for one in asked):
        body.append("nr_irqfds = 0;")
    body += [calls[step] for step in _AGAIN if step in calls]
    for action in case.before:
        if isinstance(action, SetDeviceAttr) and action.which.of == "vcpu":
            body += statement(action, names)
    yield from comment(
        "A new VM as the set-up made the first one, but for what a snapshot has and guest debug"
    )
    yield from function("static void new_vm(void)", body)
    yield ""

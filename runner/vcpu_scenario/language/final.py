"""``final:``: the state that a clause expects at the end of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vcpu_scenario.expectation import (
    EventfdCheck,
    ListedCheck,
    MemoryCheck,
    OutputCheck,
    OutputPartsCheck,
    RegListCheck,
    RingCheck,
)
from vcpu_scenario.expectation import Final as FinalState
from vcpu_scenario.kvm.registers import KVM_REGISTERS_MOST, id_of
from vcpu_scenario.language.exits import read_register_checks
from vcpu_scenario.language.memory import check_in_memory, joined, read_placed
from vcpu_scenario.language.nodes import Map, Node, Scalar, entries_of, items_of
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.setup import Setup
from vcpu_scenario.source import quoted
from vcpu_scenario.vmm.devices import SENDING


def read_final(node: Node | None, setup: Setup) -> FinalState:
    """What the mapping ``node`` expects."""
    if not isinstance(node, Map):
        return FinalState()
    return FinalState(
        read_register_checks(node.get("regs"), setup.scope),
        _memory(node.get("memory"), setup),
        _eventfds(node.get("eventfd"), setup),
        _ring(node, setup),
        _outputs(node.get("output"), setup),
        _output_parts(node.get("output_has"), setup),
        _reg_list(node.get("reg_list"), setup),
    )


def _reg_list(node: Node | None, setup: Setup) -> RegListCheck | None:
    if not isinstance(node, Map):
        return None
    checks = [
        ListedCheck(name, id_of(name), key == "has", item.span)
        for key in ("has", "lacks")
        for item in setup.doings.items(node.get(key))
        if isinstance(item, Scalar) and (name := setup.scope.register(item)) is not None
    ]
    count = node.get("count")
    if not checks and count is None:
        return None  # by case, it is for others
    return RegListCheck(
        tuple(checks),
        None if count is None else setup.scope.number(count, high=KVM_REGISTERS_MOST),
        node.span,
    )


def _memory(node: Node | None, setup: Setup) -> tuple[MemoryCheck, ...]:
    items = items_of(node)
    memory = joined(setup.memory, setup.doings.added) if items else setup.memory
    found = []
    for item in items:
        placed = read_placed(item, setup.scope, setup.doings.folder, verb="compares")
        check_in_memory(placed, memory, "this looks", setup.scope)
        found.append(MemoryCheck(placed.addr, placed.data, placed.written, placed.span))
    return tuple(found)


def _eventfds(node: Node | None, setup: Setup) -> tuple[EventfdCheck, ...]:
    names = list(setup.devices.ioeventfds)
    found = []
    for key, value in entries_of(node):
        name = setup.scope.choice(key, names, "ioeventfd")
        count = setup.scope.number(value)
        if name is not None:
            found.append(EventfdCheck(names.index(name), name, count, value.span))
    return tuple(found)


def _outputs(node: Node | None, setup: Setup) -> tuple[OutputCheck, ...]:
    return tuple(
        OutputCheck(name, value.text.encode(), value.text, value.span)
        for name, value in _of_senders(node, setup)
        if isinstance(value, Scalar)
    )


def _output_parts(node: Node | None, setup: Setup) -> tuple[OutputPartsCheck, ...]:
    return tuple(
        OutputPartsCheck(
            name,
            tuple(
                (item.text.encode(), item.span) for item in value.items if isinstance(item, Scalar)
            ),
        )
        for name, value in _of_senders(node, setup)
        if isinstance(value, Items)
    )


def _of_senders(node: Node | None, setup: Setup) -> Iterator[tuple[str, Node]]:
    """What a mapping has for each device that sends anything."""
    models = {device.name: device.model for device in setup.devices.userspace}
    for key, value in entries_of(node):
        name = setup.scope.choice(key, models, "device of userspace")
        if name is not None and models[name] not in SENDING:
            setup.scope.problems.add(
                f"{quoted(name)} never sends anything",
                key.span,
                found=f"model: {models[name]}",
                expected=f"a device of model {', '.join(SENDING)}",
                help="to see what the guest writes to it, expect `mmio: {write: ...}`",
            )
        elif name is not None:
            yield name, value


def _ring(final: Map, setup: Setup) -> RingCheck | None:
    node, key = final.get("ring"), final.key("ring")
    if not isinstance(node, Items) or key is None:
        return None
    if not setup.case.fills_ring and setup.whole and setup.scope.complete:
        setup.scope.problems.add(
            "there is no coalesced ring",
            key.span,
            expected="a device of model `coalesced`, or an `add_coalesced`",
        )
    entries = []
    for item in node.items:
        check_whole(item, ("at", "len", "data"), setup)
        if isinstance(item, Map):
            width = setup.scope.width(item.get("len"))
            data = setup.scope.word(item.get("data"), 8 * width)
            addr = setup.scope.address(item.get("at"))
            entries.append((addr, width, data.to_bytes(width, "little")))
    return RingCheck(tuple(entries), node.span)


def check_whole(item: Node, keys: Iterable[str], setup: Setup) -> None:
    """Reports what is null in one of the cases, and is no part of it that can be left out."""
    if not isinstance(item, Map) or item.faulty:
        return
    for key in keys:
        if item.get(key) is None:
            setup.scope.problems.add(
                f"{quoted(key)} is null here",
                item.span,
                found=f"no value for {setup.scope.problems.case}",
                expected="a value in each case that it comes in",
                help="say with `kernels`, `vmm` or `when` in which cases it comes",
            )

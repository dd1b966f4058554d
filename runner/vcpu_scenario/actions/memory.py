"""Guest memory: writes through the VMM's mapping, and new memslots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Node, Reader, of
from vcpu_scenario.case import AddMemslot, Memslot, WriteMemory


def slot_entry(slot: Memslot) -> dict[str, Any]:
    """A memslot as the language writes it."""
    return {"at": slot.base, "size": slot.size, **({"readonly": True} if slot.readonly else {})}


def _read_write(key: str, node: Node, reader: Reader) -> Iterable[WriteMemory]:
    yield WriteMemory(*reader.placed_bytes(node))


KINDS: Final = (
    Kind(
        WriteMemory,
        schema={
            "write": of("placed_bytes", "Writes guest memory through the VMM's mapping of it.")
        },
        read=_read_write,
        write=lambda action: {"write": {"at": action.addr, "hex": action.data.hex(" ")}},
        perform=lambda machine, action: machine.memory.write(action.addr, action.data),
        words=lambda action, name: f"writes {action.data.hex(' ')} to {name(action.addr)}",
    ),
    Kind(
        AddMemslot,
        schema={"add_memory": of("new_slot", "Adds a memory slot.")},
        read=lambda key, node, reader: [AddMemslot(reader.new_slot(node))],
        write=lambda action: {"add_memory": slot_entry(action.slot)},
        perform=lambda machine, action: machine.memory.add(action.slot),
        words=lambda action, name: (
            f"KVM_SET_USER_MEMORY_REGION {action.slot.base:#x}+{action.slot.size:#x}"
        ),
    ),
)

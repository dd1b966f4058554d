"""Memory slots by their numbers, and the dirty log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_args

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, fields, number, of
from vcpu_scenario.ioctls.memory import (
    Access,
    ClearDirtyLog,
    GetDirtyLog,
    SetHostMapping,
    SetMemoryRegion,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_HIGH: Final = (1 << 64) - 1
_FIRST: Final = "memory_region"
_SECOND: Final = "memory_region2"
_SLOTS: Final = 0xFFFF_FFFF
_PAGES: Final = 1 << 18
_FLAGS: Final = abi.KVM_MEM_LOG_DIRTY_PAGES | abi.KVM_MEM_READONLY
_ACCESS: Final = {word: word for word in get_args(Access)}
SLOT: Final = number("The slot's number; the high half is that of its address space.")


def _number(asked: dict[str, Node], key: str, reader: Reader, high: int = _HIGH) -> int:
    return reader.number(asked[key], low=0, high=high) if key in asked else 0


def slot_number(asked: dict[str, Node], reader: Reader) -> int:
    return _number(asked, "slot", reader, _SLOTS)


def read_pages(node: Node | None, reader: Reader) -> tuple[int, ...]:
    found = (reader.number(page, low=0, high=_PAGES) for page in reader.items(node))
    return tuple(sorted(set(found)))


# -- slots ----------------------------------------------------------------------------------------


def _read_region(key: str, node: Node, reader: Reader) -> Iterable[SetMemoryRegion]:
    asked = dict(reader.entries(node))
    bits = _number(asked, "bits", reader, 0xFFFF_FFFF)
    if bits & _FLAGS:
        expected = "readonly or log_dirty beside it"
        reader.complain("this bit has a word", asked["bits"], found=hex(bits), expected=expected)
    yield SetMemoryRegion(
        slot_number(asked, reader),
        reader.address(asked["at"]) if "at" in asked else 0,
        _number(asked, "size", reader),
        reader.flag(asked.get("readonly")),
        reader.flag(asked.get("log_dirty")),
        bits,
        key == _SECOND,
    )


def _write_region(action: SetMemoryRegion) -> dict[str, Any]:
    entry: dict[str, Any] = {"slot": action.slot, "at": action.base, "size": action.size}
    for key, flag in (("readonly", action.readonly), ("log_dirty", action.log_dirty)):
        if flag:
            entry[key] = True
    key = _SECOND if action.second else _FIRST
    return {key: entry | ({"bits": action.bits} if action.bits else {})}


def _region_words(action: SetMemoryRegion, name: Name) -> str:
    flags = [
        word
        for word, flag in (("readonly", action.readonly), ("log_dirty_pages", action.log_dirty))
        if flag
    ]
    if action.bits:
        flags.append(f"{action.bits:#x}")
    where = f"{action.base:#x}+{action.size:#x}"
    return " ".join((action.request, "slot", str(action.slot), where, *flags))


def _region_schema(about: str, bits: str) -> dict[str, Any]:
    return fields(
        about,
        ["slot", "at", "size"],
        slot=SLOT,
        at=of("address", "guest_phys_addr."),
        size=of("number", "memory_size; 0 deletes the slot."),
        readonly=of("flag", "KVM_MEM_READONLY. Default: false.", default=False),
        log_dirty=of("flag", "KVM_MEM_LOG_DIRTY_PAGES. Default: false.", default=False),
        bits=of("number", bits),
    )


def _read_mapping(key: str, node: Node, reader: Reader) -> Iterable[SetHostMapping]:
    asked = dict(reader.entries(node))
    access = reader.text(asked["access"]) if "access" in asked else ""
    yield SetHostMapping(slot_number(asked, reader), _ACCESS.get(access, "read_write"))


_CALLS: Final = {
    "read_write": "mprotect(PROT_READ | PROT_WRITE)",
    "read": "mprotect(PROT_READ)",
    "none": "mprotect(PROT_NONE)",
    "unmapped": "munmap",
    "past_end": "mmap of a file that ends before it",
}


# -- the dirty log --------------------------------------------------------------------------------


def _read_log(key: str, node: Node, reader: Reader) -> Iterable[GetDirtyLog]:
    asked = dict(reader.entries(node))
    wanted = read_pages(asked["pages"], reader) if "pages" in asked else None
    yield GetDirtyLog(slot_number(asked, reader), wanted)


def _write_log(action: GetDirtyLog) -> dict[str, Any]:
    entry: dict[str, Any] = {"slot": action.slot}
    if action.pages is not None:
        entry["pages"] = list(action.pages)
    return {"get_dirty_log": entry}


def _get_log(machine: Machine, action: GetDirtyLog) -> None:
    found = machine.memory.dirty_log(action.slot)
    if action.pages is not None and found != action.pages:
        pages, wanted = (", ".join(map(str, some)) or "none" for some in (found, action.pages))
        what = f"KVM_GET_DIRTY_LOG slot {action.slot}"
        raise Unexpected(f"{what} gave pages {pages}, expected {wanted}")


def _read_clear(key: str, node: Node, reader: Reader) -> Iterable[ClearDirtyLog]:
    asked = dict(reader.entries(node))
    yield ClearDirtyLog(
        slot_number(asked, reader),
        _number(asked, "first_page", reader, _PAGES),
        _number(asked, "num_pages", reader, _PAGES),
        read_pages(asked.get("pages"), reader),
    )


def _write_clear(action: ClearDirtyLog) -> dict[str, Any]:
    entry = {
        "slot": action.slot,
        "first_page": action.first,
        "num_pages": action.count,
        "pages": list(action.pages),
    }
    return {"clear_dirty_log": entry}


def list_of_pages(description: str) -> dict[str, Any]:
    of_each = number("A page, from the slot's first.")
    return {"description": description, "type": "array", "items": of_each}


KINDS: Final = (
    Kind(
        SetMemoryRegion,
        schema={
            _FIRST: _region_schema(
                "KVM_SET_USER_MEMORY_REGION of a slot by its number: makes it, moves it, changes "
                "its flags, or deletes it with size 0. The slots of `memory` are numbered from 0.",
                "Further bits of flags, each of which KVM refuses.",
            ),
            _SECOND: _region_schema(
                "KVM_SET_USER_MEMORY_REGION2, the same since 6.8.",
                "Further bits of flags. For KVM_MEM_GUEST_MEMFD (4) there is no guest_memfd: "
                "KVM refuses it too.",
            ),
        },
        read=_read_region,
        write=_write_region,
        perform=lambda machine, action: machine.memory.set_region(action),
        words=_region_words,
    ),
    Kind(
        SetHostMapping,
        schema={
            "host_mapping": fields(
                "The VMM changes its own mapping of a slot's memory, which KVM follows.",
                ["slot", "access"],
                slot=SLOT,
                access={
                    "description": "What it lets through: `none` and `read` by mprotect, "
                    "`unmapped` by munmap, `past_end` by mapping a file that ends before it.",
                    "title": f"one of {', '.join(_ACCESS)}",
                    "type": "string",
                    "pattern": rf"^({'|'.join(_ACCESS)})$|\$\{{",
                },
            )
        },
        read=_read_mapping,
        write=lambda action: {"host_mapping": {"slot": action.slot, "access": action.access}},
        perform=lambda machine, action: machine.memory.set_access(action.slot, action.access),
        words=lambda action, name: f"{_CALLS[action.access]} of the memory of slot {action.slot}",
    ),
    Kind(
        GetDirtyLog,
        schema={
            "get_dirty_log": fields(
                "KVM_GET_DIRTY_LOG. What is asked for is write-protected again, unless "
                "`manual_dirty_log_protect2` is among the capabilities.",
                ["slot"],
                slot=SLOT,
                pages=list_of_pages("The pages expected to be dirty: these and no others."),
            )
        },
        read=_read_log,
        write=_write_log,
        perform=_get_log,
        words=lambda action, name: f"KVM_GET_DIRTY_LOG slot {action.slot}",
    ),
    Kind(
        ClearDirtyLog,
        schema={
            "clear_dirty_log": fields(
                "KVM_CLEAR_DIRTY_LOG: clears and write-protects pages that are dirty.",
                ["slot", "first_page", "num_pages", "pages"],
                slot=SLOT,
                first_page=of("number", "first_page, a multiple of 64."),
                num_pages=of("number", "num_pages: a multiple of 64, or up to the slot's end."),
                pages=list_of_pages("The pages whose bit is set in dirty_bitmap."),
            )
        },
        read=_read_clear,
        write=_write_clear,
        perform=lambda machine, action: machine.memory.clear_dirty_log(action),
        words=lambda action, name: (
            f"KVM_CLEAR_DIRTY_LOG slot {action.slot}, {action.count} pages from {action.first}"
        ),
    ),
)

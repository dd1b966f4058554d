"""Guest memory: slots, the bytes in them, and what may not lie over what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from msgspec import Struct, field

from vcpu_scenario.case import Load, Memslot
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.guest import Program
from vcpu_scenario.language.nodes import Map, Node, Scalar, items_of, text_of
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.regions import Region, check_overlaps
from vcpu_scenario.language.scope import IPA_LIMIT, PAGE, Scope
from vcpu_scenario.source import Span

MAX_SLOTS: Final = 128
MAX_MEMORY: Final = 1 << 30
"""All slots of a scenario together; a real host has to find it too."""


class Bytes(NamedTuple):
    """Bytes at an address, and the text that asked for them; those ``of_file`` are there as they
    are, and may be patched."""

    addr: int
    data: bytes
    span: Span
    written: str
    of_file: bool = False


class Memory(Struct):
    """The memory slots, where they are, and what the file puts in them.

    ``complete`` is off where one of them could not be read: then nothing is outside of them all.
    """

    slots: list[Memslot] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    contents: list[Bytes] = field(default_factory=list)
    complete: bool = True

    def add(self, slot: Memslot, span: Span, *, implicit: bool = False) -> None:
        kind = "rom" if slot.readonly else "ram"
        name = "the default memory slot" if implicit else "a memory slot"
        self.slots.append(slot)
        self.regions.append(Region(kind, name, slot.base, slot.base + slot.size, span, implicit))


def read_memory(memory: Node | None, program: Program, scope: Scope, folder: Folder) -> Memory:
    """The memory slots and their contents; where there are none, one around the code, or more for
    an ELF file that it does not hold."""
    found = Memory()
    if not isinstance(memory, Items):
        if not program.ok:
            # Nobody knows where it would lie.
            return Memory(complete=False)
        for slot in _around(program):
            found.add(slot, program.span or Span("", 1, 1, 1, 1), implicit=True)
        return found
    for item in memory.items:
        if isinstance(item, Map):
            before = scope.problems.reports
            slot, span = read_slot(item, scope)
            if scope.problems.reports > before:
                found.complete = False
                continue
            found.add(slot, span)
            found.contents += _contents(item, slot, scope, folder)
    _check_total(found, scope)
    return found


def _around(program: Program) -> Iterator[Memslot]:
    """The slots that hold a program: of ``room`` bytes each, or larger for a part that is."""
    base = program.base & -PAGE
    end = base + program.room
    for load in sorted(program.loads, key=lambda load: load.addr):
        if load.addr >= end + program.room:
            yield Memslot(base, end - base)
            base = load.addr & -PAGE
            end = base + program.room
        end = max(end, load.end + PAGE - 1 & -PAGE)
    yield Memslot(base, min(end, IPA_LIMIT) - base)


def _check_total(memory: Memory, scope: Scope) -> bool:
    total = 0
    for slot, region in zip(memory.slots, memory.regions, strict=True):
        total += slot.size
        if total > MAX_MEMORY:
            scope.problems.add(
                "the memory slots are too large together",
                region.span,
                found=f"{sum(slot.size for slot in memory.slots):#x} bytes",
                expected=f"at most {MAX_MEMORY >> 30}GiB",
            )
            return False
    return True


def read_slot(item: Map, scope: Scope) -> tuple[Memslot, Span]:
    """One slot, also one that is added later, and the text that says where it is."""
    at, size_node = item.get("at"), item.get("size")
    base = _page_number(at, scope, 0)
    size = _page_number(size_node, scope, PAGE)
    if base + size > IPA_LIMIT and size_node is not None:
        scope.problems.add(
            "beyond the guest's physical address space",
            size_node.span,
            found=f"an end at {base + size:#x}",
            expected=f"at most {IPA_LIMIT:#x}, 40 bits",
        )
    slot = Memslot(base, size, scope.flag(item.get("readonly")))
    return slot, at.span if at is not None else item.span


def _page_number(node: Node | None, scope: Scope, low: int) -> int:
    value = scope.number(node, low=low, high=IPA_LIMIT)
    if value % PAGE and node is not None:
        scope.problems.add(
            "not page-aligned", node.span, found=f"{value:#x}", expected="a multiple of 4KiB"
        )
        return low
    return value


def _contents(item: Map, slot: Memslot, scope: Scope, folder: Folder) -> list[Bytes]:
    contents = item.get("contents")
    if not isinstance(contents, Map):
        return []
    data = _some_bytes(contents, contents.span, scope, folder, "writes")
    if len(data) > slot.size:
        scope.problems.add(
            "the contents are larger than the slot",
            contents.span,
            found=f"{len(data):#x} bytes",
            expected=f"at most {slot.size:#x}",
        )
        return []
    return [Bytes(slot.base, data, contents.span, "", contents.get("file") is not None)]


def read_placed(item: Node, scope: Scope, folder: Folder, *, verb: str = "writes") -> Bytes:
    """``{at: ..., hex: ...}``: bytes at an address, at least one; ``verb`` is what is done with
    them."""
    assert isinstance(item, Map)
    at = item.get("at")
    span = at.span if at is not None else item.span
    addr = scope.address(at)
    data = _some_bytes(item, span, scope, folder, verb)
    return Bytes(addr, data, span, text_of(at), item.get("file") is not None)


def _some_bytes(item: Map, span: Span, scope: Scope, folder: Folder, verb: str) -> bytes:
    """At least one; a fault that leaves none is told already."""
    before = scope.problems.reports
    data = read_bytes(item, scope, folder)
    told = scope.problems.reports > before or scope.problems.took_from(item) or folder.missing
    if not data and not told:
        scope.problems.add(f"this {verb} no bytes", span, expected="at least one byte")
    return data


def read_bytes(item: Map, scope: Scope, folder: Folder) -> bytes:
    """The bytes that the one notation in ``item`` gives."""
    for key, value in item.entries:
        notation = _NOTATIONS.get(key.text)
        if notation is not None:
            return notation(value, scope, folder)
    return b""


def read_hex(node: Node | None, scope: Scope) -> bytes:
    if not isinstance(node, Scalar):
        return b""
    try:
        return bytes.fromhex(node.text)
    except ValueError:
        scope.problems.add("not hexadecimal", node.span, expected="pairs of hexadecimal digits")
        return b""


def _integers(bits: int) -> Callable[[Node, Scope, Folder], bytes]:
    def read(node: Node, scope: Scope, folder: Folder) -> bytes:
        items = items_of(node)
        return b"".join(scope.address(item, bits).to_bytes(bits // 8, "little") for item in items)

    return read


def _file(node: Node, scope: Scope, folder: Folder) -> bytes:
    return (folder.read(node) or b"") if isinstance(node, Scalar) else b""


_NOTATIONS: Final[Mapping[str, Callable[[Node, Scope, Folder], bytes]]] = {
    "hex": lambda node, scope, folder: read_hex(node, scope),
    "words": _integers(32),
    "quads": _integers(64),
    "text": lambda node, scope, folder: node.text.encode() if isinstance(node, Scalar) else b"",
    "file": _file,
}


def check_added(memory: Memory, scope: Scope) -> None:
    """Checks the memory once slots have been added to it."""
    if len(memory.slots) > MAX_SLOTS:
        scope.problems.add(
            "too many memory slots",
            memory.regions[MAX_SLOTS].span,
            found=str(len(memory.slots)),
            expected=f"at most {MAX_SLOTS}",
        )
        return
    if _check_total(memory, scope):
        check_overlaps(memory.regions, scope)


def joined(memory: Memory, added: Memory) -> Memory:
    """The memory after slots have been added to it."""
    return Memory(
        [*memory.slots, *added.slots],
        [*memory.regions, *added.regions],
        complete=memory.complete and added.complete,
    )


def check_in_memory(
    item: Bytes, memory: Memory, what: str, scope: Scope, *, zeros: int = 0
) -> None:
    """Reports bytes, and ``zeros`` behind them, that lie outside every slot, or in none
    completely."""
    slots = memory.slots
    end = item.addr + len(item.data) + zeros
    if not memory.complete or not scope.complete:
        return
    if any(slot.base <= item.addr and end <= slot.base + slot.size for slot in slots):
        return
    shown = ", ".join(f"{slot.base:#x} to {slot.base + slot.size:#x}" for slot in slots[:4])
    scope.problems.add(
        f"{what} outside the guest's memory",
        item.span,
        found=f"{item.addr:#x} to {end:#x}",
        expected=f"within a memory slot: {shown}",
        help=_BY_DEFAULT if any(region.implicit for region in memory.regions) else "",
    )


_BY_DEFAULT: Final = "without `memory` there is the default slot alone: list slots under `memory`"


def loads_of(items: Iterable[Bytes]) -> tuple[Load, ...]:
    return tuple(Load(item.addr, item.data) for item in items if item.data)

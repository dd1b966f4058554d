"""What the dynamic section of a position-independent program asks of who loads it.

A guest has no dynamic linker: what takes no symbol of another file is done here, as a static
loader does it (ELF for the Arm 64-bit Architecture, IHI 0056), and all else is refused by name.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Load

_Bytes = TypeVar("_Bytes", bytes, bytearray)

PAGE: Final = 4096
"""ADRP counts in pages of this size, so a program moves by whole ones alone."""
MAX_RELOCATIONS: Final = 1 << 18
"""In a table."""

_DT_NULL, _DT_NEEDED, _DT_PLTRELSZ, _DT_RELA, _DT_RELASZ, _DT_RELAENT = 0, 1, 2, 7, 8, 9
_DT_JMPREL: Final = 23
_REFUSED: Final[Mapping[int, str]] = {
    _DT_NEEDED: "it needs shared libraries, which a guest has not; link it with -static-pie"
    " or -nostdlib",
    17: "it has relocations without addends (DT_REL), which AArch64 does not use",
    36: "it has packed relocations (DT_RELR); link it with -z nopack-relative-relocs",
}
_TABLES: Final = ((_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ))
"""Where a table of relocations is, and how long."""
_RELATIVE: Final = 1027
_NONE: Final = frozenset((0, 256))
_ENTRY: Final = struct.Struct("<QIIq")
_NAMES: Final[Mapping[int, str]] = {
    257: "R_AARCH64_ABS64",
    1024: "R_AARCH64_COPY",
    1025: "R_AARCH64_GLOB_DAT",
    1026: "R_AARCH64_JUMP_SLOT",
    1028: "R_AARCH64_TLS_DTPMOD",
    1029: "R_AARCH64_TLS_DTPREL",
    1030: "R_AARCH64_TLS_TPREL",
    1031: "R_AARCH64_TLSDESC",
    1032: "R_AARCH64_IRELATIVE",
}
"""What linkers leave for a dynamic linker, as their output and glibc have the names."""


def relocated(loads: Sequence[Load], dynamic: bytes, bias: int) -> tuple[Load, ...]:
    """``loads``, ``bias`` bytes above where they were linked, with the pointers within moved.

    ``dynamic`` is the dynamic section. Raises
    :class:`~vcpu_scenario.assembly.refusal.NotAGuest` for what only a dynamic linker can do.
    """
    tags = _tags(dynamic)
    images = _Images([(load.addr, bytearray(load.data)) for load in loads])
    for offset, kind, addend in _relocations(tags, loads, bias):
        if kind in _NONE:
            continue
        if kind != _RELATIVE:
            name = _NAMES.get(kind, f"of type {kind}")
            raise NotAGuest(
                f"its relocation {name} at {offset:#x} takes a dynamic linker;"
                " of a position-independent program R_AARCH64_RELATIVE is done"
            )
        target = offset + bias
        where, image = images.around(target, 8, f"the relocation at {offset:#x}")
        struct.pack_into("<Q", image, target - where, (addend + bias) % (1 << 64))
    zeros = {load.addr: load.zeros for load in loads}
    return tuple(Load(addr, bytes(image), zeros=zeros[addr]) for addr, image in images.found)


def _tags(dynamic: bytes) -> dict[int, int]:
    tags: dict[int, int] = {}
    for tag, value in struct.iter_unpack("<QQ", dynamic[: len(dynamic) // 16 * 16]):
        if tag == _DT_NULL:
            break
        if tag in _REFUSED:
            raise NotAGuest(_REFUSED[tag])
        tags[tag] = value
    return tags


def _relocations(
    tags: Mapping[int, int], loads: Sequence[Load], bias: int
) -> Iterator[tuple[int, int, int]]:
    """(where, kind, addend) of each, read before any is applied."""
    if tags.get(_DT_RELAENT, _ENTRY.size) != _ENTRY.size:
        raise NotAGuest("the size of its relocations is not that of ELF64")
    images = _Images([(load.addr, load.data) for load in loads])
    for at, length in _TABLES:
        size = tags.get(length, 0)
        if at not in tags or not size:
            continue
        if size // _ENTRY.size > MAX_RELOCATIONS:
            raise NotAGuest(f"it has more than {MAX_RELOCATIONS:,} relocations")
        start = tags[at] + bias
        where, image = images.around(start, size, "its table of relocations")
        table = image[start - where : start - where + size // _ENTRY.size * _ENTRY.size]
        for offset, kind, _, addend in _ENTRY.iter_unpack(table):
            yield offset, kind, addend


class _Images(Generic[_Bytes]):
    """Segments by their addresses, in their order; no two of them overlap."""

    def __init__(self, found: Sequence[tuple[int, _Bytes]]) -> None:
        self.found: list[tuple[int, _Bytes]] = sorted(found, key=lambda one: one[0])
        self._starts: list[int] = [addr for addr, _ in self.found]

    def around(self, start: int, size: int, what: str) -> tuple[int, _Bytes]:
        """The segment in which ``size`` bytes from ``start`` on are, and its address."""
        at = bisect_right(self._starts, start) - 1
        if at >= 0:
            addr, image = self.found[at]
            if start + size <= addr + len(image):
                return addr, image
        raise NotAGuest(f"{what} is in none of its segments")

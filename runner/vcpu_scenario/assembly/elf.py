"""A linked AArch64 program as guest code: what to load, where to start, which names it brings.

Such a file may come from anywhere: sizes are bounded before anything is read or repeated, and
whatever is wrong with it is said in words.
"""

from __future__ import annotations

import io
import posixpath
import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from msgspec import Struct

from vcpu_scenario.assembly.dynamic import PAGE, relocated
from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Load

MAX_FILE = 64 << 20
MAX_IMAGE = 1 << 30
"""Bytes in memory, zeros that the file does not hold (``.bss``) included."""
MAX_ENTRIES = 1024
MAX_SYMBOLS = 500_000
MAX_DEBUG = 8 << 20
MAX_UNITS = 1000
MAX_LINE_TABLE = 1 << 20
"""Bytes of ``.debug_line``; with more, or unreadable ones, there are no lines."""
MAX_LINES = 1 << 20
_MAX_NAME = 4096

_SHN_UNDEF, _SHN_ABS, _SHN_COMMON = 0, 0xFFF1, 0xFFF2
_STT_SECTION, _STT_FILE, _STT_TLS = 3, 4, 6
_KINDS = {
    "ET_REL": "it is an object file; link it first",
    "ET_CORE": "it is a core dump",
}


class ElfImage(Struct, frozen=True):
    """``loads`` are the loadable segments at their physical addresses, none of them empty.

    ``entry`` is a physical address too; ``symbols`` and ``lines`` (file and line of each
    instruction, where the file has DWARF) are at the addresses the program was linked for, or,
    ``movable``, where it is loaded.
    """

    loads: tuple[Load, ...]
    entry: int
    symbols: Mapping[str, int]
    lines: Mapping[int, tuple[str, int]]
    movable: bool = False
    """It is position-independent, and is where it was asked to be."""

    @property
    def base(self) -> int:
        """The lowest address loaded."""
        return min(load.addr for load in self.loads)


def read_elf(data: bytes, at: int = 0) -> ElfImage:
    """The guest within ``data``; one that is position-independent is loaded at ``at``, a multiple
    of :data:`~vcpu_scenario.assembly.dynamic.PAGE`, and its relative relocations are applied.

    Raises :class:`~vcpu_scenario.assembly.refusal.NotAGuest`.
    """
    if len(data) > MAX_FILE:
        raise NotAGuest(f"it is larger than {MAX_FILE >> 20} MiB")
    _check_header(data)
    elf, segments = _parsed(data)
    movable = elf["e_type"] == "ET_DYN"
    bias = _bias(elf, segments, at)
    place = "p_vaddr" if movable else "p_paddr"
    loads = tuple(_load(segment, segment[place] + bias, data) for segment in segments)
    _check_loads(loads)
    if movable:
        loads = relocated(loads, _dynamic(elf, data), bias)
    try:
        lines = {addr + bias: line for addr, line in _lines(elf, segments).items()}
    except Exception:  # Its debug information is no reason to refuse a program.
        lines = {}
    symbols = _symbols(elf, data, bias)
    entry = _entry(elf, segments, place) + bias
    return ElfImage(loads, entry, MappingProxyType(symbols), MappingProxyType(lines), movable)


def read_symbols(data: bytes, at: int = 0) -> dict[str, int]:
    """The names of :func:`read_elf`, of a file that need not have what it would load.

    Raises :class:`~vcpu_scenario.assembly.refusal.NotAGuest`.
    """
    if len(data) > MAX_FILE:
        raise NotAGuest(f"it is larger than {MAX_FILE >> 20} MiB")
    _check_header(data)
    elf, segments = _parsed(data)
    return _symbols(elf, data, _bias(elf, segments, at))


def _bias(elf: Any, segments: list[Any], at: int) -> int:
    """By how much a program is moved that is to be at ``at``."""
    if elf["e_type"] != "ET_DYN":
        return 0
    return at - int(min(segment["p_vaddr"] for segment in segments)) // PAGE * PAGE


def _check_header(data: bytes) -> None:
    if data[:4] != b"\x7fELF":
        raise NotAGuest("it is not an ELF file")
    if len(data) < 64:
        raise NotAGuest("it ends within the ELF header")
    if data[4] != 2:
        raise NotAGuest("it is not a 64-bit ELF file")
    if data[5] != 1:
        raise NotAGuest("it is not a little-endian ELF file")
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine != 183:
        raise NotAGuest(f"it is for another machine (e_machine {machine}), not for AArch64 (183)")
    (section_table,) = struct.unpack_from("<Q", data, 40)
    program_size, programs, section_size, sections, names = struct.unpack_from("<5H", data, 54)
    # With entries of no size, a table would never end.
    if (programs and program_size != 56) or (section_table and section_size != 64):
        raise NotAGuest("the sizes of its table entries are not those of ELF64")
    if (section_table and not sections) or max(programs, sections) > MAX_ENTRIES:
        raise NotAGuest(f"it has more than {MAX_ENTRIES} segments or sections")
    if section_table:
        _check_section_names(data, [section_table + 64 * n for n in range(sections)], names)


def _check_section_names(data: bytes, headers: list[int], names: int) -> None:
    if names >= len(headers) or headers[-1] + 64 > len(data):
        raise NotAGuest("its section table goes beyond the end of the file")
    (start,) = struct.unpack_from("<Q", data, headers[names] + 24)
    for header in headers:
        at = start + struct.unpack_from("<I", data, header)[0]
        # pyelftools would look for the end of each name through the whole file.
        if at >= len(data) or data.find(b"\0", at, at + _MAX_NAME) < 0:
            raise NotAGuest("the names of its sections are broken")


def _parsed(data: bytes) -> tuple[Any, list[Any]]:
    try:
        elf = ELFFile(io.BytesIO(data))
        kind = elf["e_type"]
        if kind not in ("ET_EXEC", "ET_DYN"):
            raise NotAGuest(_KINDS.get(kind, f"its type is {kind}, not an executable program"))
        segments = [
            segment.header
            for segment in elf.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_memsz"]
        ]
        for _ in elf.iter_sections():
            pass  # A broken table shows here.
    except NotAGuest:
        raise
    except Exception as error:  # pyelftools raises whatever its parser meets.
        what = f" ({error})" if isinstance(error, ELFError) else ""
        raise NotAGuest(f"its tables are broken{what}") from None
    if not segments:
        raise NotAGuest("it has no loadable segment")
    if sum(segment["p_memsz"] for segment in segments) > MAX_IMAGE:
        raise NotAGuest(f"it needs more than {MAX_IMAGE >> 20} MiB of memory")
    return elf, segments


def _load(segment: Any, addr: int, data: bytes) -> Load:
    start, size = segment["p_offset"], segment["p_filesz"]
    where = f"the segment at {addr:#x}"
    if start + size > len(data):
        raise NotAGuest(f"{where} goes beyond the end of the file")
    if size > segment["p_memsz"]:
        raise NotAGuest(f"{where} has more bytes in the file than in memory")
    if addr + segment["p_memsz"] > 1 << 64:
        raise NotAGuest(f"{where} goes beyond the address space")
    return Load(addr, data[start : start + size], zeros=segment["p_memsz"] - size)


def _dynamic(elf: Any, data: bytes) -> bytes:
    """The dynamic section of the program, which one that is linked statically may have not."""
    headers = (segment.header for segment in elf.iter_segments())
    found = next((header for header in headers if header["p_type"] == "PT_DYNAMIC"), None)
    if found is None:
        return b""
    start, end = found["p_offset"], found["p_offset"] + found["p_filesz"]
    if end > len(data):
        raise NotAGuest("its dynamic section goes beyond the end of the file")
    return data[start:end]


def _check_loads(loads: tuple[Load, ...]) -> None:
    end = 0
    for load in sorted(loads, key=lambda load: load.addr):
        if load.addr < end:
            raise NotAGuest(f"the segment at {load.addr:#x} overlaps the one before it")
        end = load.end


def _entry(elf: Any, segments: list[Any], place: str) -> int:
    entry = int(elf["e_entry"])
    for segment in segments:
        offset = entry - segment["p_vaddr"]
        if 0 <= offset < segment["p_memsz"]:
            return int(segment[place] + offset)
    raise NotAGuest(f"its entry {entry:#x} is in none of its segments")


def _symbols(elf: Any, data: bytes, bias: int) -> dict[str, int]:
    table = next((s for s in elf.iter_sections() if s["sh_type"] == "SHT_SYMTAB"), None)
    if table is None:
        return {}
    entries = _contents(table, data, "symbol table")
    if len(entries) // 24 > MAX_SYMBOLS:
        raise NotAGuest(f"it has more than {MAX_SYMBOLS:,} symbols")
    strings = _contents(elf.get_section(table["sh_link"]), data, "table of names")
    # A global name wins over a file's own of the same name, which wins over none.
    found: dict[str, tuple[bool, int]] = {}
    for name_at, info, _, section, value, _ in struct.iter_unpack(
        "<IBBHQQ", entries[: len(entries) // 24 * 24]
    ):
        if section in (_SHN_UNDEF, _SHN_COMMON) or info & 15 in _NAMELESS:
            continue
        end = strings.find(b"\0", name_at, name_at + _MAX_NAME)
        name = strings[name_at:end].decode("utf-8", "replace") if end > name_at else ""
        is_global = info >> 4 != 0
        if name and not name.startswith("$") and (name not in found or is_global):
            moved = value if section == _SHN_ABS else value + bias
            found[name] = (is_global, moved % (1 << 64))
    return {name: value for name, (_, value) in found.items()}


def _contents(section: Any, data: bytes, what: str) -> bytes:
    start, end = section["sh_offset"], section["sh_offset"] + section["sh_size"]
    if end > len(data):
        raise NotAGuest(f"its {what} goes beyond the end of the file")
    return data[start:end]


_NAMELESS = frozenset((_STT_SECTION, _STT_FILE, _STT_TLS))


def _lines(elf: Any, segments: list[Any]) -> dict[int, tuple[str, int]]:
    debug = [s for s in elf.iter_sections() if s.name.startswith(".debug_")]
    table = [s.data_size for s in debug if s.name == ".debug_line"]
    if not table or table[0] > MAX_LINE_TABLE or sum(s.data_size for s in debug) > MAX_DEBUG:
        return {}
    lines: dict[int, tuple[str, int]] = {}
    spans = [(s["p_vaddr"], s["p_vaddr"] + s["p_memsz"]) for s in segments]
    for start, end, place in _rows(elf.get_dwarf_info(False, False), table[0]):
        for low, high in spans:
            if low <= start < high:
                stop = min(end, high, start + 4 * (MAX_LINES - len(lines)))
                lines.update(dict.fromkeys(range(start, stop, 4), place))
        if len(lines) >= MAX_LINES:
            break
    return lines


def _rows(dwarf: Any, size: int) -> Iterator[tuple[int, int, tuple[str, int]]]:
    """(first address, end, place) of each row of the line table."""
    seen = set()
    for unit in islice(dwarf.iter_CUs(), MAX_UNITS):
        program = dwarf.line_program_for_CU(unit)
        if program is None or program.program_start_offset in seen:
            continue
        seen.add(program.program_start_offset)
        size -= program.header["unit_length"]
        if size < 0:  # Tables within tables would be read over and over.
            return
        before = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if before is not None and state.address > before.address and before.line:
                yield before.address, state.address, (_file(program, before.file), before.line)
            before = None if state.end_sequence else state


def _file(program: Any, index: int) -> str:
    # Files count from 1 up to DWARF 4, from 0 in DWARF 5; so do directories.
    version5 = program.header["version"] >= 5
    files = program.header["file_entry"]
    at = index if version5 else index - 1
    if not 0 <= at < len(files):
        return "?"
    folders = program.header["include_directory"]
    folder = files[at].dir_index if version5 else files[at].dir_index - 1
    name = files[at].name
    path = posixpath.join(folders[folder], name) if 0 <= folder < len(folders) else name
    return str(path.decode("utf-8", "replace"))

"""An ELF file with symbols and lines, made from a case: what a debugger lists the source by.

ELF-64 as the System V ABI has it, and DWARF 4 (dwarfstd.org): one unit with a line table.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from vcpu_scenario.case import Case, Load
from vcpu_scenario.source import Span

_EM_AARCH64: Final = 183
_ET_EXEC: Final = 2
_PROGBITS, _SYMTAB, _STRTAB = 1, 2, 3
_ALLOC_EXEC: Final = 0x2 | 0x4
_ABSOLUTE: Final = 0xFFF1
_GLOBAL: Final = 0x10
_HEADER, _SECTION, _SEGMENT, _SYMBOL = 64, 64, 56, 24
_WORD: Final = 4

_STANDARD_OPCODES: Final = bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))
_ASSEMBLER: Final = 0x8001
_UNIT: Final = bytes(
    # compile_unit without children: name, comp_dir, stmt_list, low_pc, high_pc, language
    (1, 0x11, 0, 0x03, 0x08, 0x1B, 0x08, 0x10, 0x17, 0x11, 0x01, 0x12, 0x01, 0x13, 0x05, 0, 0, 0)
)


class _Part(NamedTuple):
    """A section: its content, and where in memory it is."""

    name: str
    kind: int
    data: bytes
    flags: int = 0
    addr: int = 0
    link: int = 0
    info: int = 0
    entry: int = 0


def elf_of(case: Case, symbols: Mapping[str, int], lines: Mapping[int, Span]) -> bytes:
    """The guest's memory as it is at first, the names in it, and the line of each instruction."""
    loads = [load for load in case.loads if load.data]
    entry = dict(case.regs).get("pc", loads[0].addr if loads else 0)
    parts = [
        _Part(f".text{n or ''}", _PROGBITS, load.data, _ALLOC_EXEC, load.addr)
        for n, load in enumerate(loads)
    ]
    if lines:
        parts += _debug(lines)
    names, table = _symbols(symbols, loads)
    strings = len(parts) + 1  # after the table of symbols; sections are counted from 1
    parts.append(_Part(".symtab", _SYMTAB, table, link=strings + 1, info=1, entry=_SYMBOL))
    parts.append(_Part(".strtab", _STRTAB, names))
    return _file(parts, len(loads), entry)


def _symbols(symbols: Mapping[str, int], loads: Sequence[Load]) -> tuple[bytes, bytes]:
    """The names, and the table with a first entry that is none."""
    names, table = bytearray(1), bytearray(_SYMBOL)
    for name, addr in symbols.items():
        section = next(
            (n for n, load in enumerate(loads, 1) if 0 <= addr - load.addr < len(load.data)),
            _ABSOLUTE,
        )
        table += struct.pack("<IBBHQQ", len(names), _GLOBAL, 0, section, addr, 0)
        names += name.encode() + b"\0"
    return bytes(names), bytes(table)


def _file(parts: Sequence[_Part], segments: int, entry: int) -> bytes:
    names = bytearray(1)
    offsets = []
    for name in (*(part.name for part in parts), ".shstrtab"):
        offsets.append(len(names))
        names += name.encode() + b"\0"
    every = (*parts, _Part(".shstrtab", _STRTAB, bytes(names)))
    body = bytearray(_HEADER + _SEGMENT * segments)
    sections = bytearray(_SECTION)
    headers = bytearray()
    for offset, part in zip(offsets, every, strict=True):
        body += bytes(-len(body) % 8)
        size = len(part.data)
        sections += struct.pack(
            "<IIQQQQIIQQ",
            *(offset, part.kind, part.flags, part.addr, len(body), size),
            *(part.link, part.info, 8 if part.kind == _SYMTAB else 1, part.entry),
        )
        if part.flags:
            place = (len(body), part.addr, part.addr, size, size)
            headers += struct.pack("<IIQQQQQQ", 1, 7, *place, 1)
        body += part.data
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH",
        *(_ET_EXEC, _EM_AARCH64, 1, entry, _HEADER if segments else 0, len(body), 0),
        *(_HEADER, _SEGMENT, segments, _SECTION, len(every) + 1, len(every)),
    )
    body[: len(ident) + len(head)] = ident + head
    body[_HEADER : _HEADER + len(headers)] = headers
    return bytes(body + sections)


# -- DWARF -----------------------------------------------------------------------------------------


def _debug(lines: Mapping[int, Span]) -> list[_Part]:
    first, last = min(lines), max(lines) + _WORD
    files = list(dict.fromkeys(span.file for span in lines.values()))
    # Relative files are so to the folder here: a debugger then says them as they were given.
    name, folder = (os.fsencode(text) + b"\0" for text in (files[0], os.getcwd()))
    unit = struct.pack("<HIB", 4, 0, 8) + b"\1" + name + folder
    unit += struct.pack("<IQQH", 0, first, last, _ASSEMBLER)
    return [
        _Part(".debug_info", _PROGBITS, struct.pack("<I", len(unit)) + unit),
        _Part(".debug_abbrev", _PROGBITS, _UNIT),
        _Part(".debug_line", _PROGBITS, _line_table(lines, files)),
    ]


def _line_table(lines: Mapping[int, Span], files: Sequence[str]) -> bytes:
    paths = b"".join(os.fsencode(file) + b"\0\0\0\0" for file in files)
    head = struct.pack("<BBBbBB", _WORD, 1, 1, -5, 14, 13) + _STANDARD_OPCODES + b"\0"
    head += paths + b"\0"
    program = b"".join(_sequences(lines, files))
    table = struct.pack("<HI", 4, len(head)) + head + program
    return struct.pack("<I", len(table)) + table


def _sequences(lines: Mapping[int, Span], files: Sequence[str]) -> Iterator[bytes]:
    """The line program: a sequence for each run of instructions without a gap."""
    for _, run in groupby(enumerate(sorted(lines)), lambda item: item[1] - _WORD * item[0]):
        addresses = [addr for _, addr in run]
        yield b"\0\x09\x02" + struct.pack("<Q", addresses[0])  # DW_LNE_set_address
        line = 1
        for addr in addresses:
            span = lines[addr]
            yield b"\x04" + _unsigned(files.index(span.file) + 1)  # DW_LNS_set_file
            yield b"\x03" + _signed(span.line - line)  # DW_LNS_advance_line
            yield b"\x01"  # DW_LNS_copy
            yield b"\x02\x01"  # DW_LNS_advance_pc by one instruction
            line = span.line
        yield b"\0\x01\x01"  # DW_LNE_end_sequence


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _signed(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        done = (value == 0 and not low & 0x40) or (value == -1 and bool(low & 0x40))
        out.append(low | (0 if done else 0x80))
        if done:
            return bytes(out)

"""An assembler's object file, placed at its address: relocated words, symbols, line map."""

from __future__ import annotations

import difflib
import io
import re
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from vcpu_scenario.assembly.assembled import Assembled
from vcpu_scenario.assembly.relocation import RelocationError, relocate
from vcpu_scenario.assembly.source import RECORD_SECTION, RECORD_SIZE, Position, Prepared
from vcpu_scenario.host.printable import printable

MAX_CODE = 16 << 20
"""Bytes of guest code, ``.space`` and ``.bss`` included."""

_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_RELA: Final = struct.Struct("<QQq")
"""An entry of a relocation section: offset, symbol and type, addend. There is one for each
statement, and the parser of pyelftools takes as long for one as an assembler for ten."""
_MALFORMED: Final = (ELFError, struct.error, LookupError, UnicodeDecodeError)
"""What a section of a relocation's or a symbol table's type that is none ends in."""
_LINE_WORDS = 64
"""A longer statement is data or padding, and only its first word is in the line map."""


class MisfitError(Exception):
    """(position, message, hint) for each thing that cannot be placed."""

    def __init__(self, problems: Iterable[tuple[Position, str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)


class _Relocation(NamedTuple):
    offset: int
    kind: int
    symbol: Any
    addend: int


def place(data: bytes, base: int, prepared: Prepared) -> Assembled:
    """Lay the sections out from ``base``: ``.text``, other code, constants, data, zeros.

    Raises :class:`MisfitError`, also where a section is not what the text says that it is.
    """
    try:
        return _Object(data, base, prepared).assembled()
    except _MALFORMED as error:
        what = "the assembler's object file cannot be read"
        hint = f"does a `.section` have a type that is not its own? ({printable(str(error))})"
        raise MisfitError([(Position(1, 1), what, hint)]) from None


def _rank(section: Any) -> tuple[bool, bool, bool, bool, str]:
    # Not the order of the object file, in which GNU as and LLVM differ.
    flags = section["sh_flags"]
    zeros = section["sh_type"] == "SHT_NOBITS"
    return (
        section.name != ".text",
        not flags & _SHF_EXECINSTR,
        bool(flags & _SHF_WRITE),
        zeros,
        section.name,
    )


class _Object:
    def __init__(self, data: bytes, base: int, prepared: Prepared) -> None:
        self._sections = list(ELFFile(io.BytesIO(data)).iter_sections())
        self._base = base
        self._prepared = prepared
        self._text = prepared.text.split("\n")
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._referred: dict[int, Any] = {}
        self._problems: list[tuple[Position, str, str]] = []
        self._symtab = next((s for s in self._sections if isinstance(s, SymbolTableSection)), None)

    def assembled(self) -> Assembled:
        self._lay_out()
        image = self._image()
        symbols = self._symbols()
        records = self._records()
        self._relocate(image, records)
        if self._problems:
            raise MisfitError(self._problems)
        return Assembled(
            bytes(image), MappingProxyType(symbols), MappingProxyType(self._lines(records))
        )

    def _lay_out(self) -> None:
        allocated = [
            (index, section)
            for index, section in enumerate(self._sections)
            if section["sh_flags"] & _SHF_ALLOC
        ]
        allocated.sort(key=lambda entry: _rank(entry[1]))
        at = self._base
        for index, section in allocated:
            alignment = max(1, section["sh_addralign"]) if section["sh_size"] else 1
            if at == self._base and at % alignment:
                self._problems.append(self._misaligned(alignment))
                at = self._base
            else:
                at += -at % alignment
            self._starts[index] = at
            at += section["sh_size"]
            self._ends[index] = at
            if at - self._base > MAX_CODE:
                text = f"the code is larger than {MAX_CODE >> 20} MiB"
                raise MisfitError([(Position(1, 1), text, "")])

    def _misaligned(self, alignment: int) -> tuple[Position, str, str]:
        text = f"the code is at {self._base:#x}, which is not a multiple of {alignment}"
        prepared = self._prepared
        literals = (n for n, width in prepared.literals.items() if width == alignment)
        directives = (number for number, line in enumerate(self._text, start=1) if "align" in line)
        for number in (*literals, *directives):
            if origin := prepared.origin(number):
                return origin, f"{text} as an alignment within it requires", ""
        return Position(1, 1), text, ""

    def _image(self) -> bytearray:
        image = bytearray(max(self._ends.values(), default=self._base) - self._base)
        for index, start in self._starts.items():
            section = self._sections[index]
            if section["sh_type"] != "SHT_NOBITS":
                offset = start - self._base
                image[offset : offset + section["sh_size"]] = section.data()
        return image

    def _symbols(self) -> dict[str, int]:
        for symbol in self._symtab.iter_symbols() if self._symtab else ():
            value = self._value(symbol)
            mapping = symbol.name.startswith(("$x", "$d"))
            named = symbol.name and symbol["st_info"]["type"] not in ("STT_SECTION", "STT_FILE")
            if named and not mapping and value is not None:
                self._names[symbol.name] = value
        return dict(sorted(self._names.items(), key=lambda item: (item[1], item[0])))

    def _value(self, symbol: Any) -> int | None:
        section, value = symbol["st_shndx"], int(symbol["st_value"])
        if section == "SHN_ABS":
            return value
        return self._starts[section] + value if section in self._starts else None

    def _records(self) -> dict[int, list[tuple[int, int]]]:
        """By section, (address, prepared line) of each statement in the order written."""
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for section in self._sections:
            if not isinstance(section, RelocationSection):
                continue
            target = self._sections[section["sh_info"]]
            if target.name != RECORD_SECTION:
                continue
            data = target.data()
            for offset, _, symbol, addend in self._relocations(section):
                value = self._value(symbol)
                if value is None or symbol["st_shndx"] not in self._starts:
                    continue
                (line,) = struct.unpack_from("<I", data, offset + RECORD_SIZE - 4)
                found[symbol["st_shndx"]].append((value + addend, line))
        for records in found.values():
            records.sort(key=lambda record: record[0])
        return found

    def _relocations(self, section: RelocationSection) -> Iterator[_Relocation]:
        for offset, info, addend in _RELA.iter_unpack(section.data()):
            yield _Relocation(offset, info & 0xFFFF_FFFF, self._symtab_symbol(info >> 32), addend)

    def _symtab_symbol(self, index: int) -> Any:
        # Most relocations are against the section, and each reading of a symbol costs.
        if index not in self._referred:
            if self._symtab is None:
                raise ELFError("relocations, and no symbol table")
            self._referred[index] = self._symtab.get_symbol(index)
        return self._referred[index]

    def _relocate(self, image: bytearray, records: dict[int, list[tuple[int, int]]]) -> None:
        for section in self._sections:
            if not isinstance(section, RelocationSection) or section["sh_info"] not in self._starts:
                continue
            index = section["sh_info"]
            for offset, kind, symbol, addend in self._relocations(section):
                place = self._starts[index] + offset
                value = self._value(symbol)
                if value is None:
                    self._undefined(symbol.name, place, records[index])
                    continue
                try:
                    relocate(image, place - self._base, place, kind, value + addend)
                except RelocationError as error:
                    self._problems.append((self._position(place, records[index]), str(error), ""))

    def _undefined(self, name: str, place: int, records: list[tuple[int, int]]) -> None:
        line = self._line(place, records)
        origin = self._prepared.place(line, self._column(line, name)) or Position(1, 1)
        if not name:
            text = "a constant cannot be the target here; give the place a label"
            self._problems.append((origin, text, ""))
            return
        close = difflib.get_close_matches(name, self._names, n=1)
        hint = f"did you mean `{close[0]}`?" if close else ""
        self._problems.append((origin, f"`{name}` is not defined", hint))

    def _position(self, address: int, records: list[tuple[int, int]]) -> Position:
        return self._prepared.origin(self._line(address, records)) or Position(1, 1)

    def _line(self, address: int, records: list[tuple[int, int]]) -> int:
        after = bisect_right(records, address, key=lambda record: record[0])
        return records[after - 1][1] if after else 0

    def _column(self, line: int, name: str) -> int | None:
        text = self._text[line - 1] if line else ""
        found = re.search(rf"(?<![\w.$]){re.escape(name)}(?![\w.$])", text)
        return found.start() + 1 if found else None

    def _lines(self, records: dict[int, list[tuple[int, int]]]) -> dict[int, int]:
        lines: dict[int, int] = {}
        for index, entries in records.items():
            ends = [start for start, _ in entries[1:]] + [self._ends[index]]
            for (start, line), end in zip(entries, ends, strict=True):
                origin = self._prepared.origin(line)
                if origin is None or start == end or line in self._prepared.literals:
                    continue
                last = end if end - start <= 4 * _LINE_WORDS else start + 4
                lines.update(dict.fromkeys(range(start, last, 4), origin.line))
        return dict(sorted(lines.items()))

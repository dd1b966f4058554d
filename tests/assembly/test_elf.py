"""ELF guests: what is loaded from them, and what is said of those that are none."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from vcpu_scenario.assembly import elf
from vcpu_scenario.assembly.elf import ElfImage, read_elf
from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Load

NOP = bytes.fromhex("1f2003d5")
EXECUTABLE = 2


@dataclass
class Segment:
    addr: int
    data: bytes = NOP * 2
    memory: int | None = None
    virtual: int | None = None
    offset: int | None = None
    size: int | None = None
    kind: int = 1


@dataclass
class Symbol:
    name: bytes
    value: int
    info: int = 0
    section: int = 1


@dataclass
class Elf:
    """An ELF file put together by hand, so that any part of it can be wrong."""

    segments: list[Segment] = field(default_factory=lambda: [Segment(0x4000_0000)])
    symbols: list[Symbol] = field(default_factory=list)
    entry: int = 0x4000_0000
    kind: int = EXECUTABLE
    machine: int = 183
    ident: bytes = b"\x7fELF\x02\x01\x01"
    program_size: int = 56
    section_size: int = 64
    strings_type: int = 3
    symbols_size: int | None = None
    sections: int = 3
    section_names: int = 1
    name_at: int = 0

    def build(self) -> bytes:
        names = b"\0" + b"".join(symbol.name + b"\0" for symbol in self.symbols)
        table = bytes(24)
        at = 1
        for symbol in self.symbols:
            table += struct.pack("<IBBHQQ", at, symbol.info, 0, symbol.section, symbol.value, 0)
            at += len(symbol.name) + 1
        start = 64 + 56 * len(self.segments)
        programs, contents = b"", b""
        for segment in self.segments:
            offset = start + len(contents) if segment.offset is None else segment.offset
            size = len(segment.data) if segment.size is None else segment.size
            memory = size if segment.memory is None else segment.memory
            virtual = segment.addr if segment.virtual is None else segment.virtual
            programs += struct.pack(
                "<IIQQQQQQ", segment.kind, 5, offset, virtual, segment.addr, size, memory, 4
            )
            contents += segment.data
        names_at = start + len(contents)
        table_at = names_at + len(names)
        sections_at = table_at + len(table)
        size = len(table) if self.symbols_size is None else self.symbols_size
        sections = bytes(64) + struct.pack(
            "<IIQQQQIIQQ", self.name_at, self.strings_type, 0, 0, names_at, len(names), 0, 0, 1, 0
        )
        sections += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, table_at, size, 1, 1, 8, 24)
        header = self.ident.ljust(16, b"\0") + struct.pack(
            "<HHIQQQIHHHHHH",
            *(self.kind, self.machine, 1, self.entry, 64, sections_at, 0, 64),
            *(
                self.program_size,
                len(self.segments),
                self.section_size,
                self.sections,
                self.section_names,
            ),
        )
        return header + programs + contents + names + table + sections


def test_segments_are_loaded_with_the_zeros_that_follow() -> None:
    image = read_elf(
        Elf(
            segments=[
                Segment(0x4001_0000, b"data", memory=8),
                Segment(0x4000_0000),
                Segment(0x4002_0000, b"", memory=16),
                Segment(0x4003_0000, b"note", kind=4),
                Segment(0x4004_0000, b""),
            ]
        ).build()
    )
    assert image.loads == (
        Load(0x4001_0000, b"data", zeros=4),
        Load(0x4000_0000, NOP * 2),
        Load(0x4002_0000, b"", zeros=16),
    )
    assert (image.base, image.entry) == (0x4000_0000, 0x4000_0000)


def test_the_entry_is_where_the_code_is_loaded() -> None:
    virtual = 0xFFFF_8000_0000_0000
    segment = Segment(0x4000_0000, virtual=virtual)
    image = read_elf(Elf(segments=[segment], entry=virtual + 4).build())
    assert (image.entry, image.base) == (0x4000_0004, 0x4000_0000)


def test_symbols_are_names_with_a_value_and_the_global_one_wins() -> None:
    symbols = [
        Symbol(b"loop", 0x4000_0004),
        Symbol(b"$x", 0x4000_0000),
        Symbol(b"$d.1", 0x4000_0000),
        Symbol(b"", 0x4000_0000),
        Symbol(b"gone", 0, section=0),
        Symbol(b"guest.c", 0, info=4, section=0xFFF1),
        Symbol(b".text", 0x4000_0000, info=3),
        Symbol(b"UART", 0x0900_0000, section=0xFFF1),
        Symbol(b"main", 0x4000_0000, info=0x12),
        Symbol(b"main", 0x4000_0004, info=0x02),
        Symbol(b"twice", 0x4000_0000),
        Symbol(b"twice", 0x4000_0004, info=0x10),
    ]
    assert read_elf(Elf(symbols=symbols).build()).symbols == {
        "loop": 0x4000_0004,
        "UART": 0x0900_0000,
        "main": 0x4000_0000,
        "twice": 0x4000_0004,
    }


def test_a_file_without_sections_has_no_symbols() -> None:
    data = bytearray(Elf().build())
    data[40:48] = bytes(8)
    data[60:64] = bytes(4)
    image = read_elf(bytes(data))
    assert (dict(image.symbols), dict(image.lines)) == ({}, {})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not an ELF file"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (Elf().build()[:40], "ends within the ELF header"),
        (Elf(ident=b"\x7fELF\x01\x01\x01").build(), "not a 64-bit"),
        (Elf(ident=b"\x7fELF\x02\x02\x01").build(), "not a little-endian"),
        (Elf(machine=62).build(), r"another machine \(e_machine 62\)"),
        (Elf(kind=1).build(), "object file; link it first"),
        (Elf(kind=4).build(), "core dump"),
        (Elf(kind=77).build(), "not an executable program"),
        (Elf(program_size=0).build(), "sizes of its table entries"),
        (Elf(section_size=0).build(), "sizes of its table entries"),
        (Elf(segments=[]).build(), "no loadable segment"),
        (Elf(entry=0x5000_0000).build(), "its entry 0x50000000 is in none"),
        (Elf(segments=[Segment(0, memory=1 << 60)]).build(), "more than 1024 MiB of memory"),
        (Elf(segments=[Segment(0, size=1 << 20)]).build(), "beyond the end of the file"),
        (Elf(segments=[Segment(0, offset=1 << 63)]).build(), "beyond the end of the file"),
        (Elf(segments=[Segment(0, memory=1)]).build(), "more bytes in the file than in memory"),
        (Elf(segments=[Segment((1 << 64) - 4)]).build(), "beyond the address space"),
        (Elf(segments=[Segment(0), Segment(4)]).build(), "0x4 overlaps the one before it"),
        (Elf().build()[:-64], "section table goes beyond the end"),
        (Elf(sections=0).build(), "more than 1024 segments or sections"),
        (Elf(sections=2000).build(), "more than 1024 segments or sections"),
        (Elf(section_names=7).build(), "section table goes beyond the end"),
        (Elf(name_at=1 << 31).build(), "names of its sections are broken"),
        (Elf(symbols_size=24 << 36).build(), "symbol table goes beyond the end"),
        (Elf(strings_type=8).build(), "tables are broken .*STRTAB"),
    ],
)
def test_what_is_no_guest_is_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(NotAGuest, match=said):
        read_elf(data)


def test_a_file_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "MAX_FILE", 1 << 10)
    with pytest.raises(NotAGuest, match="larger than"):
        read_elf(Elf().build() + bytes(1 << 10))


def test_too_many_symbols_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "MAX_SYMBOLS", 4)
    with pytest.raises(NotAGuest, match="more than 4 symbols"):
        read_elf(Elf(symbols=[Symbol(b"x", 0)] * 9).build())


SOURCE = """\
.global _start
_start: adr x0, value
 ldr x1, =room
loop: b loop
value: .quad 5
.bss
room: .space 64
"""


@pytest.fixture(params=["4", "5"])
def linked(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """A real program with DWARF of each version in use."""
    if not all(shutil.which(f"aarch64-linux-gnu-{name}") for name in ("as", "ld")):
        pytest.skip("GNU binutils for AArch64 are not installed: no linked program was read")
    (tmp_path / "guest.s").write_text(SOURCE)
    for command in (
        ["as", f"--gdwarf-{request.param}", "-o", "guest.o", "guest.s"],
        ["ld", "-N", "-Ttext=0x40000000", "-Tbss=0x40010000", "-o", "guest.elf", "guest.o"],
    ):
        subprocess.run([f"aarch64-linux-gnu-{command[0]}", *command[1:]], cwd=tmp_path, check=True)
    return (tmp_path / "guest.elf").read_bytes()


def test_a_linked_program_brings_names_and_lines(linked: bytes) -> None:
    image = read_elf(linked)
    assert (image.base, image.entry) == (0x4000_0000, 0x4000_0000)
    names = ("_start", "loop", "value", "room")
    assert [image.symbols[name] for name in names] == [
        0x4000_0000,
        0x4000_0008,
        0x4000_000C,
        0x4001_0000,
    ]
    places = [image.lines[0x4000_0000 + at] for at in (0, 4, 8)]
    assert [line for _, line in places] == [2, 3, 4]
    assert {Path(file).name for file, _ in places} == {"guest.s"}


def test_debug_information_beyond_bounds_is_left_out(
    linked: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elf, "MAX_LINE_TABLE", 8)
    image = read_elf(linked)
    assert (dict(image.lines), image.entry) == ({}, 0x4000_0000)
    monkeypatch.undo()
    monkeypatch.setattr(elf, "MAX_LINES", 2)
    assert len(read_elf(linked).lines) == 2


def _either(data: bytes) -> ElfImage | None:
    try:
        return read_elf(data)
    except NotAGuest:
        return None


@pytest.mark.slow
def test_no_damage_leads_to_anything_but_an_image_or_a_refusal(linked: bytes) -> None:
    """Bytes overwritten anywhere, headers above all, and files cut short."""
    dice = random.Random(183)
    for _ in range(400):
        data = bytearray(linked)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data) if dice.random() < 0.5 else 300)
            data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        damaged = bytes(data if dice.random() < 0.8 else data[: dice.randrange(len(data))])
        image = _either(damaged)
        assert image is None or sum(len(load.data) for load in image.loads) <= elf.MAX_IMAGE

"""Position-independent ELF guests: loaded where they are asked to be, their pointers moved."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from vcpu_scenario.assembly import dynamic
from vcpu_scenario.assembly.elf import read_elf
from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Load

from tests.assembly.test_elf import NOP, Elf, Segment, Symbol

AT = 0x4020_0000
RELATIVE, NONE, GLOB_DAT, IRELATIVE = 1027, 0, 1025, 1032
TABLE = 0x1010
"""Where the relocations of :func:`pie` are; their targets are in front of them."""


def rela(offset: int, kind: int = RELATIVE, addend: int = 0) -> bytes:
    return struct.pack("<QQq", offset, kind, addend)


def pie(*relocations: bytes, tags: tuple[tuple[int, int], ...] | None = None) -> Elf:
    table = b"".join(relocations)
    if tags is None:
        tags = ((7, TABLE), (8, len(table)), (9, 24))
    section = b"".join(struct.pack("<QQ", *tag) for tag in (*tags, (0, 0), (1, 0)))
    return Elf(
        kind=3,
        entry=4,
        segments=[
            Segment(0),
            Segment(0x1000, bytes(TABLE - 0x1000) + table),
            Segment(0x1800, section, kind=2),
        ],
    )


def words(load: Load, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}Q", load.data)


def test_it_is_loaded_where_it_is_asked_to_be_and_its_pointers_are_moved() -> None:
    image = read_elf(
        pie(rela(0x1000, addend=4), rela(0x1008, addend=-8), rela(0, NONE)).build(), AT
    )
    assert image.movable
    assert (image.base, image.entry) == (AT, AT + 4)
    assert image.loads[0] == Load(AT, NOP * 2)
    assert image.loads[1].addr == AT + 0x1000
    assert words(image.loads[1], 2) == (AT + 4, AT - 8)


def test_the_page_of_its_lowest_segment_is_where_it_is_asked_to_be() -> None:
    segments = [Segment(0x7010, virtual=0x7010)]
    image = read_elf(Elf(kind=3, segments=segments, entry=0x7014).build(), AT)
    assert (image.base, image.entry) == (AT + 0x10, AT + 0x14)


def test_its_names_move_with_it_and_absolute_ones_stay() -> None:
    built = pie()
    built.symbols = [Symbol(b"loop", 4), Symbol(b"SIZE", 0x200, section=0xFFF1)]
    assert dict(read_elf(built.build(), AT).symbols) == {"loop": AT + 4, "SIZE": 0x200}


def test_a_program_that_is_not_position_independent_stays_where_it_was_linked() -> None:
    image = read_elf(Elf().build(), AT)
    assert (image.movable, image.base) == (False, 0x4000_0000)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pie(rela(0x1000, GLOB_DAT)), "R_AARCH64_GLOB_DAT at 0x1000 takes a dynamic linker"),
        (pie(rela(0x1000, IRELATIVE)), "R_AARCH64_IRELATIVE at 0x1000"),
        (pie(rela(0x1000, 9999)), "of type 9999 at 0x1000"),
        (pie(rela(0x9000)), "relocation at 0x9000 is in none of its segments"),
        (pie(rela(4)), "relocation at 0x4 is in none"),
        (pie(rela((1 << 64) - 4)), "is in none of its segments"),
        (pie(tags=((7, 0x9000), (8, 24))), "table of relocations is in none"),
        (pie(tags=((23, 0x1000), (2, 1 << 20))), "table of relocations is in none"),
        (pie(tags=((7, TABLE), (8, 1 << 60))), "more than 262,144 relocations"),
        (pie(tags=((7, TABLE), (8, 24), (9, 0))), "size of its relocations"),
        (pie(tags=((1, 1),)), "needs shared libraries"),
        (pie(tags=((17, TABLE),)), "DT_REL"),
        (pie(tags=((36, TABLE),)), "DT_RELR"),
        (
            Elf(kind=3, segments=[Segment(0), Segment(0, kind=2, size=1 << 20)], entry=0),
            "dynamic sec",
        ),
    ],
)
def test_what_only_a_dynamic_linker_can_do_is_refused_by_name(data: Elf, said: str) -> None:
    with pytest.raises(NotAGuest, match=said):
        read_elf(data.build(), AT)


SOURCE = """\
extern void (*const table[])(void);
static int value = 5;
int *pointer = &value;
static void stop(void) { for (;;) __asm__ volatile("hvc #0"); }
void (*const table[])(void) = {stop, stop};
void _start(void) { *pointer += 1; table[*pointer & 1](); }
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program by GCC, with pointers in its data."""
    gcc = shutil.which("aarch64-linux-gnu-gcc")
    if gcc is None:
        pytest.skip("GCC for AArch64 is not installed: no position-independent program was read")
    folder: Path = tmp_path_factory.mktemp("pie")
    (folder / "guest.c").write_text(SOURCE)
    command = [gcc, "-g", "-O1", "-fPIE", "-static-pie", "-nostdlib", "-o", "guest.elf", "guest.c"]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / "guest.elf").read_bytes()


def test_the_pointers_of_a_compiled_program_are_where_its_names_are(compiled: bytes) -> None:
    image = read_elf(compiled, AT)

    def pointer(addr: int) -> int:
        (load,) = [one for one in image.loads if one.addr <= addr < one.addr + len(one.data)]
        (value,) = struct.unpack_from("<Q", load.data, addr - load.addr)
        return int(value)

    names = image.symbols
    assert image.base == AT
    assert image.entry == names["_start"]
    assert pointer(names["pointer"]) == names["value"]
    assert [pointer(names["table"] + at) for at in (0, 8)] == [names["stop"]] * 2
    assert image.lines[names["_start"]][1] == 6


@pytest.mark.slow
def test_no_damage_leads_to_anything_but_an_image_or_a_refusal(compiled: bytes) -> None:
    dice = random.Random(1027)
    section = compiled.find(struct.pack("<QQ", 9, 24))
    assert section > 0
    for _ in range(300):
        data = bytearray(compiled)
        for _ in range(dice.randint(1, 6)):
            at = dice.choice((dice.randrange(600), section - 64 + dice.randrange(128)))
            data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        try:
            read_elf(bytes(data), AT)
        except NotAGuest:
            continue


def test_the_number_of_relocations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic, "MAX_RELOCATIONS", 1)
    with pytest.raises(NotAGuest, match="more than 1 relocations"):
        read_elf(pie(rela(0x1000), rela(0x1008)).build(), AT)

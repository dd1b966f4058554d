"""Names for addresses from a file."""

from __future__ import annotations

import random

import pytest
from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.assembly.symbolfile import names_in

from .test_elf import Elf, Segment, Symbol

AT = 0x4000_0000


def test_a_list_of_nm_and_one_of_the_kernel_have_names() -> None:
    listed = (
        b"                 U outside\n"
        b"                 w __maybe\n"
        b"ffff800080000000 T _text\n"
        b"ffff800080010000 0000000000000040 t init_once\n"
        b"ffff8000812a4000 D jiffies\t[vmlinux]\n"
        b"\n"
        b"0000000000000000 A _kernel_flags_le_lo32\r\n"
    )
    assert names_in(listed, AT) == {
        "_text": 0xFFFF_8000_8000_0000,
        "init_once": 0xFFFF_8000_8001_0000,
        "jiffies": 0xFFFF_8000_812A_4000,
        "_kernel_flags_le_lo32": 0,
    }


def test_a_global_name_wins_over_a_local_one_and_then_the_first() -> None:
    listed = b"10 t a\n20 T a\n30 T a\n40 t b\n50 t b\n60 T c\n70 t c\n"
    assert names_in(listed, AT) == {"a": 0x20, "b": 0x40, "c": 0x60}


def test_an_elf_file_has_its_symbols_also_where_nothing_of_it_could_be_loaded() -> None:
    symbols = [Symbol(b"start", AT), Symbol(b"loop", AT + 4, info=16)]
    whole = Elf(symbols=symbols)
    # As `objcopy --only-keep-debug` leaves it: segments that lie beyond the end of the file.
    bare = Elf(symbols=symbols, segments=[Segment(AT, b"", memory=8, size=1 << 20)])
    for elf in (whole, bare):
        assert names_in(elf.build(), 0) == {"start": AT, "loop": AT + 4}


def test_symbols_of_a_position_independent_file_are_moved() -> None:
    elf = Elf(symbols=[Symbol(b"start", 0x1_0000)], segments=[Segment(0x1_0000)], kind=3)
    assert names_in(elf.build(), AT) == {"start": AT}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"Memory Configuration\n", "line 1, `Memory Configuration`, is not as nm prints it"),
        (b"10 T a\n\n11 T\n", "line 3, `11 T`"),
        (b"12345678901234567 T a\n", "line 1"),
        (b"10 T a b\n", "line 1"),
        (b"\xff\xfe1\x000\x00", "neither an ELF file nor a list as nm prints it"),
        (b"10 T a\n" * 500_001, "more than 500,000 symbols"),
        (b" " * ((64 << 20) + 1), "larger than 64 MiB"),
        (Elf().build(), "it has no symbols; name the file that was not stripped of them"),
        (Elf(machine=62).build(), "for another machine"),
        (b"\x7fELF", "ends within the ELF header"),
    ],
)
def test_what_has_no_names_is_refused_in_words(data: bytes, why: str) -> None:
    with pytest.raises(NotAGuest) as raised:
        names_in(data, AT)
    assert why in str(raised.value)


def test_no_damage_gives_anything_but_a_refusal() -> None:
    chance = random.Random(12)
    elf = Elf(symbols=[Symbol(b"start", AT), Symbol(b"loop", AT + 4)]).build()
    for whole in (elf, b"10 T a\n0000000000000020 t b\n                 U c\n"):
        for _ in range(400):
            damaged = bytearray(whole)
            for _ in range(chance.randrange(1, 5)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                found = names_in(bytes(damaged[: chance.randrange(1, len(damaged) + 1)]), AT)
            except NotAGuest:
                continue
            assert all(0 <= address < 1 << 64 for address in found.values())

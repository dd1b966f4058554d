"""Names, source lines and ways through the guest's code."""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Case, Load, Memslot
from vcpu_scenario.verdict.guest import Guest, successors

from .build import BASE, GUEST, LINES


@pytest.mark.parametrize(
    ("addr", "name"),
    [
        (BASE, "start"),
        (BASE + 8, "next"),
        (BASE + 10, "next+0x2"),
        (BASE + 16, "done+0x4"),
        (BASE + 0x800, "0x40000800"),
        (0x0900_0000, "uart"),
        (0x0900_0018, "uart+0x18"),
        (0x0900_1000, "0x9001000"),
        (0x0800_0004, "GICD+0x4"),
        (0x080B_0000, "GICR+0x10000"),
        (0, "0x0"),
    ],
)
def test_an_address_is_called_what_the_author_calls_it(addr: int, name: str) -> None:
    assert GUEST.name(addr) == name


def test_a_constant_among_the_symbols_names_no_address() -> None:
    case = Case(slots=(Memslot(0, 64),), loads=(Load(0x40, b"\0" * 64),))
    assert Guest(case, {"SIZE": 8, "code": 0x40}).name(8) == "0x8"


def test_a_place_has_its_source_line_and_instruction() -> None:
    place = GUEST.place(BASE + 8)
    assert (place.name, place.source) == ("next", LINES[BASE + 8])
    assert place.instruction == "add x2, x2, #1"


def test_where_nothing_was_loaded_there_is_no_instruction() -> None:
    assert GUEST.place(0x1234_0000).instruction == ""


def test_what_was_loaded_later_wins() -> None:
    case = Case(slots=(Memslot(0, 64),), loads=(Load(0, b"\1\0\0\0\2\0\0\0"), Load(4, b"\3\0\0\0")))
    assert Guest(case, {}).word(4) == 3
    assert Guest(case, {}).word(0) == 1


@pytest.mark.parametrize(
    ("word", "leads_to"),
    [
        (0xD503201F, (0x1004,)),  # nop
        (0x14000002, (0x1008,)),  # b .+8
        (0x17FFFFFF, (0xFFC,)),  # b .-4
        (0x94000004, (0x1010,)),  # bl .+16
        (0x54000041, (0x1008, 0x1004)),  # b.ne .+8
        (0xB4000063, (0x100C, 0x1004)),  # cbz x3, .+12
        (0x35FFFFE0, (0xFFC, 0x1004)),  # cbnz w0, .-4
        (0x36080040, (0x1008, 0x1004)),  # tbz w0, #1, .+8
        (0xB7F80040, (0x1008, 0x1004)),  # tbnz x0, #63, .+8
        (0xD65F03C0, ()),  # ret
        (0xD61F0000, ()),  # br x0
        (0xD69F03E0, ()),  # eret
        (0xD4000002, (0x1004,)),  # hvc #0
    ],
)
def test_an_instruction_leads_to_its_successors(word: int, leads_to: tuple[int, ...]) -> None:
    assert successors(word, 0x1000) == leads_to


def program(*words: int) -> Guest:
    code = b"".join(word.to_bytes(4, "little") for word in words)
    return Guest(Case(slots=(Memslot(0, 0x1000),), loads=(Load(0, code),)), {})


NOP = 0xD503201F


def test_a_path_falls_through() -> None:
    assert program(NOP, NOP, NOP).path(0, 12) == (0, 4, 8)


def test_a_path_follows_branches() -> None:
    assert program(NOP, 0x14000002, NOP, NOP).path(0, 12) == (0, 4)


def test_no_path_leads_through_an_indirect_branch() -> None:
    assert program(NOP, 0xD65F03C0, NOP).path(0, 8) is None


def test_a_path_from_here_to_here_executes_nothing() -> None:
    assert program(NOP).path(0, 0) == ()


def test_a_path_longer_than_its_limit_is_none() -> None:
    assert program(*[NOP] * 20).path(0, 40, limit=9) is None
    assert program(*[NOP] * 20).path(0, 40, limit=10) is not None


B_MINUS_4 = 0x17FFFFFF
B_MINUS_8 = 0x17FFFFFE


def test_a_loop_leads_back_to_where_it_began() -> None:
    assert program(0x14000000).loop(0) == (0,)
    assert program(NOP, B_MINUS_4).loop(0) == (0, 4)
    assert program(NOP, B_MINUS_4).loop(4) == (4, 0)


def test_of_two_loops_the_shorter_is_taken() -> None:
    leave_early = 0x54000040  # b.eq .+8
    assert program(leave_early, B_MINUS_4, NOP, 0x17FFFFFD).loop(0) == (0, 4)


def test_without_a_way_back_there_is_no_loop() -> None:
    assert program(NOP, 0xD65F03C0, NOP).loop(0) is None
    assert program(NOP).loop(0x4000) is None
    assert program(NOP, NOP, B_MINUS_8).loop(0, limit=3) is not None
    assert program(NOP, NOP, B_MINUS_8).loop(0, limit=2) is None

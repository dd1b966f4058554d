"""Names, source lines and ways through the guest's code."""

from __future__ import annotations

import pytest
from vcpu_scenario.arm64.branches import successors
from vcpu_scenario.case import Case, Load, Memslot
from vcpu_scenario.verdict.guest import Guest

from tests.guests import words

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


def test_an_image_is_named_where_it_runs_as_well() -> None:
    high = 0xFFFF_8000_8000_0000
    code = (0xD503201F).to_bytes(4, "little") * 4
    case = Case(slots=(Memslot(0, 4096),), loads=(Load(0x40, code, high),))
    guest = Guest(case, {"_text": high, "init": high + 8})
    assert guest.place(high + 12).name == "init+0x4"
    assert guest.place(high + 12).instruction == "nop"
    assert guest.word(0x40) == guest.word(high)


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
    ("instruction", "leads_to"),
    [
        (words("nop"), (0x1004,)),
        (words("b . + 8"), (0x1008,)),
        (words("b . - 4"), (0xFFC,)),
        (words("bl . + 16"), (0x1010,)),
        (words("b.ne . + 8"), (0x1008, 0x1004)),
        (words("cbz x3, . + 12"), (0x100C, 0x1004)),
        (words("cbnz w0, . - 4"), (0xFFC, 0x1004)),
        (words("tbz w0, #1, . + 8"), (0x1008, 0x1004)),
        (words("tbnz x0, #63, . + 8"), (0x1008, 0x1004)),
        (words("ret"), ()),
        (words("br x0"), ()),
        (words("eret"), ()),
        (words("hvc #0"), (0x1004,)),
    ],
)
def test_an_instruction_leads_to_its_successors(
    instruction: tuple[int, ...], leads_to: tuple[int, ...]
) -> None:
    (word,) = instruction
    assert successors(word, 0x1000) == leads_to


def program(code: tuple[int, ...]) -> Guest:
    data = b"".join(word.to_bytes(4, "little") for word in code)
    return Guest(Case(slots=(Memslot(0, 0x1000),), loads=(Load(0, data),)), {})


NOP = words("nop")


def test_a_path_falls_through() -> None:
    assert program(NOP * 3).path(0, 12) == (0, 4, 8)


def test_a_path_follows_branches() -> None:
    assert program(words("nop; b 1f; nop; 1: nop")).path(0, 12) == (0, 4)


def test_no_path_leads_through_an_indirect_branch() -> None:
    assert program(words("nop; ret; nop")).path(0, 8) is None


def test_a_path_from_here_to_here_executes_nothing() -> None:
    assert program(NOP).path(0, 0) == ()


def test_a_path_longer_than_its_limit_is_none() -> None:
    assert program(NOP * 20).path(0, 40, limit=9) is None
    assert program(NOP * 20).path(0, 40, limit=10) is not None


def test_a_loop_leads_back_to_where_it_began() -> None:
    assert program(words("b .")).loop(0) == (0,)
    assert program(words("again: nop; b again")).loop(0) == (0, 4)
    assert program(words("again: nop; b again")).loop(4) == (4, 0)


def test_of_two_loops_the_shorter_is_taken() -> None:
    code = words("start: b.eq long; b start; long: nop; b start")
    assert program(code).loop(0) == (0, 4)


def test_without_a_way_back_there_is_no_loop() -> None:
    assert program(words("nop; ret; nop")).loop(0) is None
    assert program(NOP).loop(0x4000) is None
    three = program(words("again: nop; nop; b again"))
    assert three.loop(0, limit=3) is not None
    assert three.loop(0, limit=2) is None

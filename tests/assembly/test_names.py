"""Names of devices in assembly source."""

from __future__ import annotations

import random

import pytest
from vcpu_scenario.assembly.names import Names, names_defined, with_names

NAMES = Names(
    {"uart": 0x900_0000, "gic": 0x800_0000, "lsl": 0x1000, "w1": 0x2000, "b": 0x3000},
    {"uart": {"FR": 0x900_0018, "DR": 0x900_0000}, "gic": {"GICD_CTLR": 0x800_0000}},
)


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("ldr x0, =uart", "ldr x0, =0x9000000"),
        ("ldr x0, =uart+FR", "ldr x0, =0x9000018"),
        ("ldr x0, =uart + FR + 4", "ldr x0, =0x9000018 + 4"),
        ("mov x0, #uart ; ldr x1, =gic+GICD_CTLR", "mov x0, #0x9000000 ; ldr x1, =0x8000000"),
        ("here: .quad uart, -uart", "here: .quad 0x9000000, -0x9000000"),
        # A name that is no register of it is the code's own.
        ("ldr x0, =uart+OFFSET", "ldr x0, =0x9000000+OFFSET"),
        ("ldr x0, =uart+FRR", "ldr x0, =0x9000000+FRR"),
        # Whole names alone.
        ("ldr x0, =uart0", None),
        ("ldr x0, =my.uart", None),
        ("ldr x0, =uart.x", None),
        # Text and comments are none of the code.
        ('.ascii "uart" // uart', None),
        ("/* uart */ nop", None),
        # What the source, or each assembler, gives a meaning keeps it.
        ("uart: ldr x0, =uart", None),
        (".equ uart, 4\nmov x0, #uart", None),
        ("uart = 4\nmov x0, #uart", None),
        ("uart .req x0\nmov x1, uart", None),
        (".macro uart\nnop\n.endm\nuart", None),
        ("mov x0, x1, lsl #2", None),
        ("add w0, w1, w1", None),
        ("here: b here", None),
        (".ifdef uart\nnop\n.endif", None),
        (".global uart", None),
    ],
)
def test_a_name_stands_for_its_address_where_it_means_nothing_else(
    source: str, meant: str | None
) -> None:
    assert with_names(source, NAMES).text == (source if meant is None else meant)


def test_macros_are_given_names_and_have_them_in_their_bodies() -> None:
    source = ".macro poke at\nldr x0, =\\at\nldr x1, =uart\n.endm\npoke uart+FR"
    meant = source.replace("=uart", "=0x9000000").replace("uart+FR", "0x9000018")
    assert with_names(source, NAMES).text == meant


def test_columns_behind_a_name_are_those_of_the_source() -> None:
    source = "nop\n  ldr x0, =uart + FR ; mov x1, #uart ; frob"
    named = with_names(source, NAMES)
    line = named.text.split("\n")[1]
    for word in ("ldr", "mov", "frob"):
        there, here = line.index(word) + 1, source.split("\n")[1].index(word) + 1
        assert named.column(2, there) == here
    # All of a number is where its name begins.
    start = line.index("0x9000018")
    for within in range(start, start + len("0x9000018")):
        assert named.column(2, within + 1) == source.split("\n")[1].index("uart") + 1
    assert named.column(1, 2) == 2


def test_what_a_source_defines_is_seen_without_an_assembler() -> None:
    source = "start: nop; loop: b loop\n.equ SIZE, 4\n.set END, 8\nLAST = 9\n// no: label\n"
    assert names_defined(source) == {"start", "loop", "SIZE", "END", "LAST"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["a" * 300_000, "uart " * 60_000, "uart" + " " * 300_000, "ldr x0, =uart;" * 20_000]
)
def test_a_long_line_takes_no_longer_than_it_is(line: str) -> None:
    named = with_names(line, NAMES)
    assert named.column(1, 1) == 1
    assert names_defined(line) == set()


def test_any_text_is_read_and_its_columns_found() -> None:
    chance = random.Random(7)
    words = [
        "uart",
        "+",
        "FR",
        " ",
        ";",
        ":",
        "=",
        "#",
        '"',
        "'",
        "/*",
        "*/",
        "//",
        "\\",
        "\n",
        "x1",
    ]
    for _ in range(200):
        source = "".join(chance.choices(words, k=chance.randrange(30)))
        named = with_names(source, NAMES)
        assert named.text.count("\n") == source.count("\n")
        for number, line in enumerate(named.text.split("\n"), start=1):
            columns = [named.column(number, column) for column in range(1, len(line) + 2)]
            assert columns == sorted(columns)
            assert all(1 <= column <= len(source.split("\n")[number - 1]) + 1 for column in columns)

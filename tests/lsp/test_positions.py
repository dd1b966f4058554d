"""Places of YAML become positions of the protocol, whatever ends a line and however it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcpu_scenario.lsp.positions import Positions

TEXTS = st.text(st.sampled_from("a é𝕜\u2028\x85\r\n\ufeff"), max_size=40)


@pytest.mark.parametrize(("encoding", "units"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_a_character_has_the_units_of_the_encoding(encoding: str, units: int) -> None:
    assert Positions("𝕜x", encoding).position(1).character == units


def test_lines_of_yaml_are_not_those_of_the_protocol() -> None:
    positions = Positions("a\u2028b\nc")
    assert positions.offset(2, 1) == 2
    assert (positions.position(2).line, positions.position(2).character) == (0, 2)
    assert (positions.position(4).line, positions.position(4).character) == (1, 0)


def test_a_byte_order_mark_is_no_column() -> None:
    positions = Positions("\ufefftitle: t")
    assert positions.offset(1, 1) == 1
    assert positions.place(1) == (1, 1)


@given(TEXTS, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_every_offset_comes_back(text: str, encoding: str) -> None:
    positions = Positions(text, encoding)
    for offset in range(len(text) + 1):
        within = text[offset - 1 : offset + 1] == "\r\n"
        if not within:
            assert positions.offset_of(positions.position(offset)) == offset
        if not (text.startswith("\ufeff") and offset == 0) and not within:
            assert positions.offset(*positions.place(offset)) == offset

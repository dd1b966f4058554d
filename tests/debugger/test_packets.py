"""Bytes make the same packets in whatever pieces they come, and nothing breaks the framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcpu_scenario.debugger.packets import LARGEST, Event, Framing, Packet, Sign, framed


def events(data: bytes) -> list[Event]:
    return list(Framing().feed(data))


@given(st.binary(max_size=200))
def test_a_packet_is_read_as_it_was_written(data: bytes) -> None:
    assert events(framed(data)) == [Packet(data)]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_pieces_make_no_difference(data: bytes, cuts: list[int]) -> None:
    framing, found, start = Framing(), list[Event](), 0
    for cut in [*sorted(cuts), len(data)]:
        found += framing.feed(data[start:cut])
        start = max(start, min(cut, len(data)))
    assert found == events(data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"+-\x03", [Sign.ACK, Sign.NACK, Sign.INTERRUPT]),
        (b"garbage$g#67", [Packet(b"g")]),
        (b"$g#68", [Sign.BROKEN]),
        (b"$g#zz", [Sign.BROKEN]),
        (b"$a$g#67", [Packet(b"g")]),
        (b"$\x03#03", [Packet(b"\x03")]),  # a ^C within a packet is a byte of it
        (b"$g#\x03\x03", [Sign.BROKEN]),
        (b"$}\x03#80", [Packet(b"#")]),
        (b"$}#7d", [Packet(b"")]),
        (b"$#00", [Packet(b"")]),
        (b"$" + b"m" * (LARGEST + 1) + b"#00$g#67", [Sign.BROKEN, Packet(b"g")]),
    ],
)
def test_what_comes_of_bytes(data: bytes, found: list[Event]) -> None:
    assert events(data) == found


def test_qemu_drops_a_packet_that_is_too_large_without_a_word() -> None:
    framing = Framing(4, complains=False)
    assert list(framing.feed(framed(b"12345") + framed(b"1234"))) == [Packet(b"1234")]

"""The symbols of a Linux image, and images that are damaged or made to take long."""

from __future__ import annotations

import struct
from random import Random

import pytest
from vcpu_scenario.assembly.kallsyms import kernel_symbols

BASE = 0xFFFF_8000_8000_0000
NAMES = [f"do_{number}_{'long_' * (number % 30)}x" for number in range(600)]
SINGLE = [bytes([n]) if chr(n).isprintable() and n < 127 else b"?" for n in range(256)]
"""Tokens of one character each."""


def table(names: list[str], tokens: list[bytes] | None = None) -> bytes:
    """The tables as a kernel since 6.4 has them."""
    tokens = tokens or SINGLE
    packed, markers = b"", []
    for number, name in enumerate(names):
        if number % 256 == 0:
            markers.append(len(packed))
        text = f"T{name}".encode()
        size = len(text)
        length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
        packed += length + text
    starts = [sum(len(token) + 1 for token in tokens[:n]) for n in range(256)]
    parts = (
        struct.pack("<Q", len(names)),
        packed,
        struct.pack(f"<{len(markers)}I", *markers),
        b"".join(token + b"\0" for token in tokens),
        struct.pack("<256H", *starts),
        struct.pack(f"<{len(names)}I", *(16 * n for n in range(len(names)))),
        struct.pack("<Q", BASE),
    )
    image = b"\x5a" * 64
    for part in parts:
        image += part + bytes(-len(part) % 8)
    return image


WHOLE = table(NAMES)
TOKENS = WHOLE[WHOLE.index(b"?\0?\0") :]
MARKERS = struct.pack("<256I", *range(0, 1 << 16, 256))


def test_the_symbols_are_those_of_the_tables() -> None:
    assert kernel_symbols(WHOLE) == {name: BASE + 16 * n for n, name in enumerate(NAMES)}


def test_an_image_that_is_cut_has_all_symbols_or_none() -> None:
    for cut in range(0, len(WHOLE), 97):
        assert kernel_symbols(WHOLE[:cut]) == {}


def test_a_damaged_image_is_read_or_has_none() -> None:
    for seed in range(60):
        random, image = Random(seed), bytearray(WHOLE)
        for _ in range(random.choice((1, 2, 8, 64))):
            image[random.randrange(len(image))] = random.choice((0, 0xFF, random.randrange(256)))
        assert len(kernel_symbols(bytes(image))) in (0, *range(len(NAMES) - 64, len(NAMES) + 1))


@pytest.mark.parametrize("token", [b"x" * 513, b"x" * 4000])
def test_a_name_that_no_kernel_has_is_no_name(token: bytes) -> None:
    tokens = [token if one == b"x" else one for one in SINGLE]
    assert kernel_symbols(table(NAMES, tokens)) == {}


@pytest.mark.parametrize(
    "image",
    [
        b"".join(b"%d\0" % digit for digit in range(10)) * 50_000,
        bytes(1 << 20) + TOKENS,
        struct.pack("<Q", 1 << 16) * (1 << 14) + MARKERS + TOKENS,
    ],
    ids=["many digits", "no markers", "many beginnings"],
)
def test_what_would_take_long_is_given_up(image: bytes) -> None:
    assert kernel_symbols(image) == {}

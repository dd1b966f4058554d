"""The symbols of a Linux image, and images that are damaged or made to take long."""

from __future__ import annotations

import struct
from random import Random

import pytest
from vcpu_scenario.assembly.kallsyms import kernel_symbols
from vcpu_scenario.assembly.kernelimage import ALIGNMENT
from vcpu_scenario.language.distribution import Missing, read_distributed

NOP = 0xD503_201F
BASE = 0xFFFF_8000_8000_0000
NAMES = [f"do_{number}_{'long_' * (number % 30)}x" for number in range(600)]
SINGLE = [bytes([n]) if chr(n).isprintable() and n < 127 else b"?" for n in range(256)]
"""Tokens of one character each."""


def table(names: list[str], tokens: list[bytes] | None = None, layout: str = "6.12") -> bytes:
    """The tables as Debian's kernel of that release has them.

    Since 6.4 the addresses are behind the names, up to 6.1 the kernel itself fills in their base,
    6.1 has the order of the names, and in 7.2 addresses are relative to their places, and all is
    aligned to 4 bytes."""
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
    align = 4 if layout == "7.2" else 8
    before, between = b"\x5a" * 64, b""
    offsets = struct.pack(f"<{len(names)}I", *(16 * n for n in range(len(names))))
    if layout in ("5.10", "6.1"):
        before = pointers() + padded(offsets, 8) + bytes(8)
    if layout == "6.1":
        order = Random(0).sample(range(len(names)), len(names))
        between = b"".join(number.to_bytes(3, "big") for number in order)
    image = before
    for part in (
        struct.pack("<I", len(names)),
        packed,
        struct.pack(f"<{len(markers)}I", *markers),
        between,
        b"".join(token + b"\0" for token in tokens),
        struct.pack("<256H", *starts),
    ):
        image += padded(part, align)
    if layout == "6.12":
        image += padded(offsets, 8) + struct.pack("<Q", BASE)
    if layout == "7.2":
        places = range(len(image), len(image) + 4 * len(names), 4)
        image += b"".join(struct.pack("<i", 16 * n - at) for n, at in enumerate(places))
        image += pointers()
    return image


def padded(part: bytes, align: int) -> bytes:
    return part + bytes(-len(part) % align)


def pointers() -> bytes:
    """What a kernel has of them: to symbols, to what is none, and numbers."""
    random = Random(1)
    made = [BASE + 16 * random.randrange(600) + random.choice((0, 0, 0, 4)) for _ in range(20_000)]
    return struct.pack("<40000Q", *(word for pointer in made for word in (pointer, 0x403)))


WHOLE = table(NAMES)
TOKENS = WHOLE[WHOLE.index(b"?\0?\0") :]
MARKERS = struct.pack("<256I", *range(0, 1 << 16, 256))


@pytest.mark.parametrize("layout", ["5.10", "6.1", "6.12", "7.2"])
def test_the_symbols_are_those_of_the_tables(layout: str) -> None:
    image = table(NAMES, layout=layout)
    assert kernel_symbols(image) == {name: BASE + 16 * n for n, name in enumerate(NAMES)}


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "6.16", "6.17", "7.2"])
def test_a_function_of_debians_kernels_begins_as_its_symbol_says(release: str) -> None:
    """With the two NOPs that ftrace replaces, and pl011_putc reads UARTFR, up to 6.17."""
    try:
        image = read_distributed(f"debian:{release}")
    except Missing as missing:
        pytest.skip(str(missing))
    symbols = kernel_symbols(image)
    first = min(symbols.values()) & -ALIGNMENT
    for name in ("gic_cpu_config", "pl011_putc"):
        assert struct.unpack_from("<2I", image, symbols[name] - first) == (NOP, NOP)
    if release != "7.2":
        putc = image[symbols["pl011_putc"] - first :][:96]
        assert struct.pack("<2I", 0x9100_6042, 0xB940_0042) in putc  # x2 + 0x18, and its word


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

"""The symbols that a Linux kernel carries in its image (``kernel/kallsyms.c``).

Nothing says where the tables are. The table of tokens has the ten digits in a row, the index of it
follows from it, and the others lie around both.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Final

_DIGITS: Final = re.compile(re.escape(b"".join(b"%d\0" % digit for digit in range(10))))
_TOKENS: Final = 256
_MARKED: Final = 256
"""Each so many symbols there is a marker."""
_KERNEL: Final = 0xFFFF << 48
"""Addresses of the kernel's half."""


@lru_cache(maxsize=2)
def kernel_symbols(image: bytes) -> dict[str, int]:
    """Virtual addresses by name; none where the image has no such tables. Of names that occur
    more than once the first has it."""
    for match in _DIGITS.finditer(image):
        found = _symbols_around(image, match.start())
        if found is not None:
            return found
    return {}


def _symbols_around(image: bytes, zero: int) -> dict[str, int] | None:
    start = _before(image, zero, ord("0"))
    tokens = image[start : start + (1 << 14)].split(b"\0", _TOKENS)[:_TOKENS]
    if len(tokens) < _TOKENS:
        return None
    offsets = [0, *accumulate(len(token) + 1 for token in tokens)][:_TOKENS]
    index = image.find(struct.pack(f"<{_TOKENS}H", *offsets), start, start + (1 << 15))
    if index < 0:
        return None
    markers, at_markers = _markers(image, start)
    counted = _names_before(image, at_markers, markers)
    if counted is None:
        return None
    count, names = counted
    addresses = _addresses(image, count, (index + 2 * _TOKENS, names - 8))
    if addresses is None:
        return None
    symbols: dict[str, int] = {}
    for (at, length), address in zip(_entries(image, names, count), addresses, strict=True):
        text = b"".join([tokens[byte] for byte in image[at : at + length]])
        symbols.setdefault(text[1:].decode("latin-1"), address)
    return symbols


def _before(image: bytes, at: int, count: int) -> int:
    """Where the ``count`` strings begin that end before ``at``."""
    for _ in range(count):
        at = image.rfind(b"\0", 0, at - 1) + 1
    return at


def _markers(image: bytes, end: int) -> tuple[list[int], int]:
    """The markers before ``end``, which rise from 0, and where they begin."""
    at, found = end & ~3, list[int]()
    while at >= 4:
        at -= 4
        (value,) = struct.unpack_from("<I", image, at)
        if not found and not value:
            continue  # up to where the tokens are aligned
        if found and value >= found[-1]:
            break
        found.append(value)
        if not value:
            break
    return found[::-1], at


def _names_before(image: bytes, end: int, markers: list[int]) -> tuple[int, int] | None:
    """How many symbols there are, and where their names begin, somewhere before ``end``."""
    if not markers or markers[0]:
        return None
    most = _MARKED * len(markers)
    at = (end - markers[-1]) & ~7
    lowest = max(at - (1 << 20), 0)
    while at > lowest:
        at -= 8
        count, zero = struct.unpack_from("<II", image, at)
        if not zero and most - _MARKED < count <= most and _fits(image, at + 8, count, markers):
            return count, at + 8
    return None


def _fits(image: bytes, names: int, count: int, markers: list[int]) -> bool:
    for number, (at, _) in enumerate(_entries(image, names, count)):
        length_bytes = 2 if image[at - 2] & 0x80 and image[at - 1] < 0x80 else 1
        if number % _MARKED == 0:
            marked = names + markers[number // _MARKED]
            if marked not in (at - 1, at - length_bytes):
                return False
    return True


def _entries(image: bytes, names: int, count: int) -> Iterator[tuple[int, int]]:
    """Where each packed name begins, and its length in bytes."""
    at = names
    for _ in range(count):
        length = image[at]
        at += 1
        if length & 0x80:
            length = length & 0x7F | image[at] << 7
            at += 1
        yield at, length
        at += length


def _addresses(image: bytes, count: int, places: tuple[int, int]) -> list[int] | None:
    """The addresses: offsets and then their base, behind the tokens' index (since 6.4) or before
    the count of symbols."""
    behind, before = places
    size = 4 * count + 7 & ~7
    for at in (behind + 7 & ~7, before - 8 - size):
        if at < 0 or at + size + 8 > len(image):
            continue
        (base,) = struct.unpack_from("<Q", image, at + size)
        if base >= _KERNEL:
            return [base + offset for offset in struct.unpack_from(f"<{count}I", image, at)]
    return None

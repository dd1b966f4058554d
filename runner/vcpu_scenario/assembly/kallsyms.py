"""The symbols that a Linux kernel carries in its image (``kernel/kallsyms.c``).

Nothing says where the tables are. The table of tokens has the ten digits in a row, the index of it
follows from it, and the others lie around both. An image may come from anywhere: what is looked at
is bounded, and what does not fit is no table.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, islice
from typing import Final, NamedTuple

_DIGITS: Final = re.compile(re.escape(b"".join(b"%d\0" % digit for digit in range(10))))
_TOKENS: Final = 256
_MARKED: Final = 256
"""Each so many symbols there is a marker."""
_KERNEL: Final = 0xFFFF << 48
"""Addresses of the kernel's half."""
_TOKENS_SIZE: Final = 1 << 14
_MAX_NAME: Final = 512
"""``KSYM_NAME_LEN``, since 6.1; shorter before."""
_MAX_PLACES: Final = 64
"""Where the ten digits are, and no table around them: a font, for example."""
_MAX_SYMBOLS: Final = 1 << 19
_MAX_LAST_GROUP: Final = _MARKED * (2 + _MAX_NAME)
"""Bytes of the names behind the last marker."""
_MAX_WALKED: Final = 1 << 20
"""Names that are walked over in search of where they begin."""


@lru_cache(maxsize=2)
def kernel_symbols(image: bytes) -> dict[str, int]:
    """Virtual addresses by name; none where the image has no such tables. Of names that occur
    more than once the first has it."""
    try:
        for match in islice(_DIGITS.finditer(image), _MAX_PLACES):
            found = _tokens_around(image, match.start())
            if found is not None:
                return _symbols(image, found)
    except (IndexError, struct.error):  # it ends within a table
        pass
    return {}


class _Tokens(NamedTuple):
    """The table of tokens, where it begins, and where the index of it ends."""

    tokens: list[bytes]
    start: int
    end: int


def _tokens_around(image: bytes, zero: int) -> _Tokens | None:
    """The table in which the token of the digit 0 is at ``zero``."""
    start = _before(image, zero, ord("0"))
    tokens = image[start : start + _TOKENS_SIZE].split(b"\0", _TOKENS)[:_TOKENS]
    if len(tokens) < _TOKENS:
        return None
    offsets = [0, *accumulate(len(token) + 1 for token in tokens)][:_TOKENS]
    index = image.find(struct.pack(f"<{_TOKENS}H", *offsets), start, start + (1 << 15))
    return None if index < 0 else _Tokens(tokens, start, index + 2 * _TOKENS)


def _symbols(image: bytes, table: _Tokens) -> dict[str, int]:
    tokens = table.tokens
    markers, at_markers = _markers(image, table.start)
    counted = _names_before(image, at_markers, markers)
    if counted is None:
        return {}
    count, names = counted
    addresses = _addresses(image, count, (table.end, names - 8))
    if addresses is None:
        return {}
    symbols: dict[str, int] = {}
    for (at, length), address in zip(_entries(image, names, count), addresses, strict=True):
        text = b"".join([tokens[byte] for byte in image[at : at + length]])
        if len(text) > _MAX_NAME:
            return {}
        symbols.setdefault(text[1:].decode("latin-1"), address)
    return symbols


def _before(image: bytes, at: int, count: int) -> int:
    """Where the ``count`` strings begin that end before ``at``."""
    lowest = max(at - _TOKENS_SIZE, 0)
    for _ in range(count):
        at = max(image.rfind(b"\0", lowest, max(at - 1, lowest)) + 1, lowest)
    return at


def _markers(image: bytes, end: int) -> tuple[list[int], int]:
    """The markers before ``end``, which rise from 0, and where they begin."""
    at, found = end & ~3, list[int]()
    lowest = max(at - 4 * _MAX_SYMBOLS // _MARKED, 0)
    while at >= lowest + 4:
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
    lowest, walked = max(at - _MAX_LAST_GROUP, 0), 0
    while at >= lowest + 8 and walked < _MAX_WALKED:
        at -= 8
        count, zero = struct.unpack_from("<II", image, at)
        if not zero and most - _MARKED < count <= most:
            fitting = _fitting(image, at + 8, count, markers)
            if fitting == count:
                return count, at + 8
            walked += fitting + _MARKED
    return None


def _fitting(image: bytes, names: int, count: int, markers: list[int]) -> int:
    """How many of the names are as the markers say."""
    for number, (at, length) in enumerate(_entries(image, names, count)):
        if number % _MARKED == 0 and names + markers[number // _MARKED] != at - 1 - (length > 0x7F):
            return number
    return count


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
        if _KERNEL <= base < (1 << 64) - (1 << 32):
            return [base + offset for offset in struct.unpack_from(f"<{count}I", image, at)]
    return None

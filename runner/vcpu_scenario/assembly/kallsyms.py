"""The symbols that a Linux kernel carries in its image (``kernel/kallsyms.c``).

Nothing says where the tables are. The table of tokens has the ten digits in a row, the index of it
follows from it, and the others lie around both. Where nothing says what the addresses begin at,
pointers do: many are to symbols. An image may come from anywhere: what is looked at is bounded, and
what does not fit is no table.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
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
_LAST: Final = (1 << 64) - (1 << 32)
_TOKENS_SIZE: Final = 1 << 14
_MAX_NAME: Final = 512
"""``KSYM_NAME_LEN``, since 6.1; shorter before."""
_MAX_PLACES: Final = 64
"""Where the ten digits are, and no table around them: a font, for example."""
_MAX_SYMBOLS: Final = 1 << 19
_MAX_LAST_GROUP: Final = _MARKED * (2 + _MAX_NAME)
"""Bytes of the names behind the last marker."""
_SEGMENT: Final = 1 << 16
"""To which sections are aligned, and so the first symbol."""
_STRIDE: Final = 251
"""Of so many words one is looked at for a pointer."""
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
    behind = _TOKENS - ord("0")
    rest = image[zero : zero + _TOKENS_SIZE].split(b"\0", behind)[:behind]
    end = zero + sum(len(token) + 1 for token in rest)
    for at in range(end, end + 8):
        index = struct.unpack_from(f"<{_TOKENS}H", image, at)
        start = zero - index[ord("0")]
        tokens = image[max(start, 0) : zero].split(b"\0")[:-1] + rest
        offsets = [0, *accumulate(len(token) + 1 for token in tokens)][:_TOKENS]
        if len(tokens) == _TOKENS and list(index) == offsets:
            return _Tokens(tokens, start, at + 2 * _TOKENS)
    return None


def _symbols(image: bytes, table: _Tokens) -> dict[str, int]:
    tokens = table.tokens
    counted = _names_before(image, *_markers(image, table.start))
    if counted is None and (start := _sequences(image, table.start)) is not None:
        counted = _names_before(image, *_markers(image, start))
    if counted is None:
        return {}
    count, at_count, names = counted
    addresses = _addresses(image, count, (table.end, at_count))
    if addresses is None:
        return {}
    symbols: dict[str, int] = {}
    for (at, length), address in zip(_entries(image, names, count), addresses, strict=True):
        text = b"".join([tokens[byte] for byte in image[at : at + length]])
        if len(text) > _MAX_NAME:
            return {}
        symbols.setdefault(text[1:].decode("latin-1"), address)
    return symbols


def _sequences(image: bytes, end: int) -> int | None:
    """Where the sequence numbers of the names begin that end before ``end``, three bytes each: all
    there are from 0 on, in some order. Only 6.1 has them there."""
    for pad in range(8):
        at, most = end - pad, 0
        for count in range(1, min(_MAX_SYMBOLS, at // 3)):
            at -= 3
            most = max(most, int.from_bytes(image[at : at + 3], "big"))
            if most >= _MAX_SYMBOLS:
                break
            if count == most + 1 and count > _MARKED:
                return at
    return None


def _markers(image: bytes, end: int) -> tuple[int, list[int]]:
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
    return at, found[::-1]


def _names_before(image: bytes, end: int, markers: list[int]) -> tuple[int, int, int] | None:
    """How many symbols there are, where that is said, and where their names begin, behind it by 8
    bytes, or 4 in 7.2, somewhere before ``end``."""
    if not markers or markers[0]:
        return None
    most = _MARKED * len(markers)
    at = (end - markers[-1]) & ~3
    lowest, walked = max(at - _MAX_LAST_GROUP, 0), 0
    while at >= lowest + 4 and walked < _MAX_WALKED:
        at -= 4
        (count,) = struct.unpack_from("<I", image, at)
        if most - _MARKED < count <= most:
            for names in (at + 8, at + 4):
                fitting = _fitting(image, names, count, markers)
                if fitting == count:
                    return count, at, names
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
    """The addresses: offsets from a base that is behind them and that the kernel itself fills in up
    to 6.1. They are behind the tokens' index since 6.4, before that before the count of symbols. In
    7.2 they are relative to their own places and there is no base."""
    behind, before = places
    size = 4 * count + 7 & ~7
    for at in (behind + 7 & ~7, before - 8 - size, behind + 3 & ~3):
        if not 0 <= at <= len(image) - size - 8:
            continue
        offsets = struct.unpack_from(f"<{count}I", image, at)
        (base,) = struct.unpack_from("<Q", image, at + size)
        if offsets[0] + at == 1 << 32:
            offsets = tuple(at + 4 * n + o & 0xFFFF_FFFF for n, o in enumerate(offsets))
            base = 0
        if offsets[0]:
            continue
        if not _KERNEL <= base < _LAST:
            base = _base(image, set(offsets))
        if base:
            return [base + offset for offset in offsets]
    return None


def _base(image: bytes, offsets: set[int]) -> int:
    """The address from which the symbols are at ``offsets``: that at which most pointers are to
    some of them. 0 where none stands out."""
    words = memoryview(image)[: len(image) & ~7].cast("Q")[::_STRIDE]
    pointers = [word for word in words if _KERNEL <= word < _LAST]
    common = Counter(word // _SEGMENT for word in pointers).most_common(1)
    if not common:
        return 0
    highest = common[0][0]
    candidates = range(highest, highest - len(image) // _SEGMENT - 1, -1)
    hits = {
        number * _SEGMENT: sum(word - number * _SEGMENT in offsets for word in pointers)
        for number in candidates
    }
    best = max(hits, key=hits.__getitem__)
    return best if hits[best] * 8 > len(pointers) else 0

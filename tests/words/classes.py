"""Random words of each class of A64 instructions (DDI 0487, C4.1), by bits 28 to 25.

Left out is what would end the guest, or keep it: HVC, SMC, BRK, ERET, WFI, WFE, accesses to system
registers, and branches that go back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, product
from random import Random
from typing import Final

_SYSTEM: Final = 0b1101010100
_EXCEPTION: Final = 0b11010100
_UNCONDITIONAL: Final = 0b1101011
_ERET: Final = 0b1101011_0100


def _of_class(random: Random, *groups: int) -> int:
    return random.getrandbits(32) & ~(15 << 25) | random.choice(groups) << 25


def _forward(word: int) -> int:
    """An immediate branch that goes on, by 4 bytes at least."""
    if word >> 26 & 31 == 0b00101:
        return word & ~(1 << 25) | 1
    if word >> 25 & 63 == 0b011011:
        return word & ~(1 << 18) | 1 << 5
    return word & ~(1 << 23) | 1 << 5


def _branch(random: Random) -> int | None:
    word = _of_class(random, 0b1010, 0b1011)
    if word >> 22 == _SYSTEM or word >> 21 == _ERET:
        return None
    if word >> 24 == _EXCEPTION:
        return None if word >> 21 & 7 < 2 else word
    return word if word >> 25 == _UNCONDITIONAL else _forward(word)


CLASSES: Final[Mapping[str, Callable[[Random], int | None]]] = {
    "data processing, immediate": lambda random: _of_class(random, 0b1000, 0b1001),
    "branches and exceptions": _branch,
    "loads and stores": lambda random: _of_class(random, 0b0100, 0b1100),
    "loads and stores, SIMD&FP": lambda random: _of_class(random, 0b0110, 0b1110),
    "data processing, register": lambda random: _of_class(random, 0b0101, 0b1101),
    "data processing, SIMD&FP": lambda random: _of_class(random, 0b0111, 0b1111),
    "reserved": lambda random: _of_class(random, 0b0000, 0b0001, 0b0010, 0b0011),
}


def words(name: str, seed: int, count: int) -> list[int]:
    """``count`` words of class ``name``: the same for each ``seed`` for good."""
    return list(islice(_random(name, seed), count))


def _random(name: str, seed: int) -> Iterator[int]:
    random, make = Random(f"{name} {seed}"), CLASSES[name]
    while True:
        if (word := make(random)) is not None:
            yield word


def system() -> list[int]:
    """Every hint and barrier, every MSR of an immediate, with one register other than XZR."""
    found = []
    for op1, crn, crm, op2 in product(range(8), range(16), range(16), range(8)):
        if (op1, crn, crm) == (3, 2, 0) and op2 in (2, 3):  # WFE, WFI
            continue
        found.append(0xD500_001F | op1 << 16 | crn << 12 | crm << 8 | op2 << 5)
    return found + [word & ~31 | 1 for word in found[::7]]

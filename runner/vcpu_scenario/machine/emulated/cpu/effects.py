"""What an instruction does at most, by its word: which registers and whether memory it writes.

Nothing that it does is missing; some may be told that it does not do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_XZR: Final = 1 << 31
_MRS: Final = 0b11010101001
"""The upper bits of MRS and SYSL."""


def accesses_memory(word: int) -> bool:
    """Whether it is a load or a store of some kind."""
    return word >> 25 & 0b0101 == 0b0100


def is_atomic(word: int) -> bool:
    """An atomic memory operation, of the loads and stores of one register."""
    return not word >> 24 & 1 and word >> 21 & 1 == 1 and not word >> 10 & 3


@lru_cache(maxsize=4096)
def may_store(word: int) -> bool:
    """Whether it may write memory: DC ZVA may."""
    if not accesses_memory(word):
        return word & 0xFFF8_0000 == 0xD508_0000  # SYS
    kind = word >> 27 & 7
    if kind == 0b011:
        return False
    if word >> 26 & 1 or kind not in (0b101, 0b111):
        return True
    return not word >> 22 & (1 if kind == 0b101 else 3) or (kind == 0b111 and is_atomic(word))


@lru_cache(maxsize=4096)
def written_by(word: int) -> int:
    """The general registers that it may write, a bit for each."""
    if accesses_memory(word):
        return _written_by_access(word)
    if word >> 26 & 7 == 0b101:  # branches, exceptions and the system
        return 1 << 30 | (1 << (word & 31) & ~_XZR if word >> 21 == _MRS else 0)
    return 1 << (word & 31) & ~(0 if _may_write_sp(word) else _XZR)


def _may_write_sp(word: int) -> bool:
    """Adds or subtracts, or is logical with an immediate."""
    immediate = word >> 24 & 0x1F == 0b10001 or word >> 23 & 0x3F == 0b100100
    return immediate or word & 0x1FE0_0000 == 0x0B20_0000


def _written_by_access(word: int) -> int:
    rt, rn, rt2, rs = word & 31, word >> 5 & 31, word >> 10 & 31, word >> 16 & 31
    kind, vector = word >> 27 & 7, word >> 26 & 1
    if kind == 0b011:  # literal
        return 0 if vector else 1 << rt
    if kind == 0b101:  # pairs, by an index with bit 23
        writeback = (word >> 23 & 1) << rn
        return writeback | (0 if vector or not word >> 22 & 1 else 1 << rt | 1 << rt2)
    if kind == 0b111:
        if is_atomic(word):
            return 1 << rt | 1 << rs
        indexed = not word >> 24 & 1 and not word >> 21 & 1 and word >> 10 & 1
        return bool(indexed) << rn | (0 if vector or not word >> 22 & 3 else 1 << rt)
    # Exclusive, compare and swap, which may be of pairs; structures of vectors.
    return 1 << rt | 1 << rn | 1 << rt2 | 1 << rs | 1 << (rs + 1 & 31) | 1 << (rt + 1 & 31)

"""Where instructions lead that say so in relation to pc (Arm ARM, DDI 0487, C4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MASK64 = (1 << 64) - 1

RELATIVE: Final[tuple[tuple[Callable[[int], bool], int, int, int], ...]] = (
    (lambda word: word >> 26 & 0x1F == 0b00101, 0, 26, 4),  # B, BL
    (lambda word: word >> 24 == 0x54, 5, 19, 4),  # B.cond
    (lambda word: word >> 25 & 0x3F == 0b011010, 5, 19, 4),  # CBZ, CBNZ
    (lambda word: word >> 25 & 0x3F == 0b011011, 5, 14, 4),  # TBZ, TBNZ
    (lambda word: word >> 24 & 0x3B == 0b011000, 5, 19, 4),  # LDR (literal)
)
"""Each kind of them: its field for the offset, by its lowest bit and its width, and the offset's
unit in bytes."""


def successors(word: int, pc: int) -> tuple[int, ...]:
    """Where the instruction can lead, exceptions aside; nothing for indirect branches.

    Encodings: Arm ARM (DDI 0487) C4.1.93, branches.
    """
    if word >> 26 & 0x1F == 0b00101:  # B, BL
        return (pc + signed(word, 26) * 4 & _MASK64,)
    if word >> 24 == 0x54 or word >> 25 & 0x3F == 0b011010:  # B.cond, CBZ, CBNZ
        return (pc + signed(word >> 5, 19) * 4 & _MASK64, pc + 4)
    if word >> 25 & 0x3F == 0b011011:  # TBZ, TBNZ
        return (pc + signed(word >> 5, 14) * 4 & _MASK64, pc + 4)
    if word >> 25 == 0b1101011:  # BR, BLR, RET, ERET
        return ()
    return (pc + 4,)


def signed(value: int, bits: int) -> int:
    """The number in the low ``bits`` of ``value``, in two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value

"""The static relocations of AArch64 that position guest code, without a linker.

A linker may change what the author wrote: LLD turns ``adrp``/``add`` into ``nop``/``adr``, both
insert veneers. Guest code is one object at a known address, so its relocations are few and
certain. Numbers and operations: *ELF for the Arm 64-bit Architecture* (AAELF64), section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct


class RelocationError(ValueError):
    """What is asked for does not fit into the instruction or datum; the message says why."""


class Relocation(Struct, frozen=True):
    """``width`` bytes at the place become ``apply(old, target, place)``."""

    width: int
    apply: Callable[[int, int, int], int]


def relocate(image: bytearray, offset: int, place: int, kind: int, target: int) -> None:
    """Apply relocation ``kind`` at ``offset`` of ``image``, which the guest sees at ``place``.

    ``target`` is symbol plus addend. Raises :class:`RelocationError`.
    """
    relocation = RELOCATIONS.get(kind)
    if relocation is None:
        raise RelocationError(f"relocation {kind} needs a linker (thread-local or through a GOT)")
    end = offset + relocation.width
    if end > len(image):
        raise RelocationError("relocation beyond the end of its section")
    old = int.from_bytes(image[offset:end], "little")
    image[offset:end] = relocation.apply(old, target, place).to_bytes(relocation.width, "little")


def _data(bits: int, relative: bool, old: int, target: int, place: int) -> int:
    value = target - place if relative else target
    if bits < 64 and not -(1 << (bits - 1)) <= value < 1 << bits:
        raise RelocationError(f"{value:#x} does not fit into {bits} bits")
    return value & ((1 << bits) - 1)


def _branch(bits: int, shift: int, old: int, target: int, place: int) -> int:
    distance = target - place
    if distance & 3:
        raise RelocationError(f"the target {target:#x} is not a multiple of 4")
    _reach(distance, bits + 2)
    mask = (1 << bits) - 1
    return old & ~(mask << shift) | ((distance >> 2 & mask) << shift)


def _adr(old: int, target: int, place: int) -> int:
    distance = target - place
    _reach(distance, 21)
    return _immediate21(old, distance)


def _adrp(checked: bool, old: int, target: int, place: int) -> int:
    distance = (target & ~0xFFF) - (place & ~0xFFF)
    if checked:
        _reach(distance, 33)
    return _immediate21(old, distance >> 12)


def _immediate21(old: int, value: int) -> int:
    return old & ~(3 << 29 | 0x7FFFF << 5) | (value & 3) << 29 | (value >> 2 & 0x7FFFF) << 5


def _reach(distance: int, bits: int) -> None:
    if not -(1 << (bits - 1)) <= distance < 1 << (bits - 1):
        raise RelocationError(f"the target is {distance:#x} bytes away, out of the reach")


def _low12(scale: int, old: int, target: int, place: int) -> int:
    low = target & 0xFFF
    if low & ((1 << scale) - 1):
        raise RelocationError(f"the target {target:#x} is not a multiple of {1 << scale}")
    return old & ~(0xFFF << 10) | (low >> scale) << 10


def _movw(group: int, checked: bool, old: int, target: int, place: int) -> int:
    if checked and not 0 <= target < 1 << 16 * (group + 1):
        raise RelocationError(f"{target:#x} does not fit into {16 * (group + 1)} bits")
    return old & ~(0xFFFF << 5) | (target >> 16 * group & 0xFFFF) << 5


RELOCATIONS: dict[int, Relocation] = {
    257: Relocation(8, partial(_data, 64, False)),  # R_AARCH64_ABS64
    258: Relocation(4, partial(_data, 32, False)),  # R_AARCH64_ABS32
    259: Relocation(2, partial(_data, 16, False)),  # R_AARCH64_ABS16
    260: Relocation(8, partial(_data, 64, True)),  # R_AARCH64_PREL64
    261: Relocation(4, partial(_data, 32, True)),  # R_AARCH64_PREL32
    262: Relocation(2, partial(_data, 16, True)),  # R_AARCH64_PREL16
    263: Relocation(4, partial(_movw, 0, True)),  # R_AARCH64_MOVW_UABS_G0
    264: Relocation(4, partial(_movw, 0, False)),  # R_AARCH64_MOVW_UABS_G0_NC
    265: Relocation(4, partial(_movw, 1, True)),  # R_AARCH64_MOVW_UABS_G1
    266: Relocation(4, partial(_movw, 1, False)),  # R_AARCH64_MOVW_UABS_G1_NC
    267: Relocation(4, partial(_movw, 2, True)),  # R_AARCH64_MOVW_UABS_G2
    268: Relocation(4, partial(_movw, 2, False)),  # R_AARCH64_MOVW_UABS_G2_NC
    269: Relocation(4, partial(_movw, 3, True)),  # R_AARCH64_MOVW_UABS_G3
    273: Relocation(4, partial(_branch, 19, 5)),  # R_AARCH64_LD_PREL_LO19
    274: Relocation(4, _adr),  # R_AARCH64_ADR_PREL_LO21
    275: Relocation(4, partial(_adrp, True)),  # R_AARCH64_ADR_PREL_PG_HI21
    276: Relocation(4, partial(_adrp, False)),  # R_AARCH64_ADR_PREL_PG_HI21_NC
    277: Relocation(4, partial(_low12, 0)),  # R_AARCH64_ADD_ABS_LO12_NC
    278: Relocation(4, partial(_low12, 0)),  # R_AARCH64_LDST8_ABS_LO12_NC
    279: Relocation(4, partial(_branch, 14, 5)),  # R_AARCH64_TSTBR14
    280: Relocation(4, partial(_branch, 19, 5)),  # R_AARCH64_CONDBR19
    282: Relocation(4, partial(_branch, 26, 0)),  # R_AARCH64_JUMP26
    283: Relocation(4, partial(_branch, 26, 0)),  # R_AARCH64_CALL26
    284: Relocation(4, partial(_low12, 1)),  # R_AARCH64_LDST16_ABS_LO12_NC
    285: Relocation(4, partial(_low12, 2)),  # R_AARCH64_LDST32_ABS_LO12_NC
    286: Relocation(4, partial(_low12, 3)),  # R_AARCH64_LDST64_ABS_LO12_NC
    299: Relocation(4, partial(_low12, 4)),  # R_AARCH64_LDST128_ABS_LO12_NC
}

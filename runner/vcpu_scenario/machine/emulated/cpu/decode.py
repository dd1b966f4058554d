"""What the hardware reports of a load or store: the syndrome's ISS, and the address it formed.

ISV is set only for a load or store of a single general-purpose register without writeback, and
not for exclusives, pairs, SIMD&FP or atomics (Arm ARM D17.2.37, ESR_ELx, "ISS encoding for an
exception from a Data Abort"). Unicorn does not tell, so the word is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from vcpu_scenario.arm64.branches import signed

IL = 1 << 25
ISV = 1 << 24
_SSE = 1 << 21
_SF = 1 << 15
_AR = 1 << 14
CM = 1 << 8
WNR = 1 << 6
_LDAPR = 0x3FFF_FC00
"""An LDAPR but for its size and registers."""


@lru_cache(maxsize=4096)
def isv_syndrome(word: int) -> int:
    """The ISS bits ISV, SAS, SSE, SRT, SF and AR for ``word``; 0 where ISV is clear."""
    if word >> 24 & 0x3F == 0b001000:
        return _ordered(word)
    if word >> 27 & 0b111 == 0b111 and not word >> 26 & 1:
        return _register(word)
    if word >> 24 & 0x3F == 0b011000:
        return _literal(word)
    return 0


def _iss(sas: int, rt: int, *, sse: bool = False, sf: bool, ar: bool = False) -> int:
    return ISV | sas << 22 | sse * _SSE | rt << 16 | sf * _SF | ar * _AR


def _ordered(word: int) -> int:
    """LDAR, STLR and their narrow forms; exclusives report nothing."""
    if not word >> 23 & 1 or word >> 21 & 1:
        return 0
    size = word >> 30
    return _iss(size, word & 31, sf=size == 3, ar=True)


def _register(word: int) -> int:
    size, opc, rt = word >> 30, word >> 22 & 3, word & 31
    if word & _LDAPR == 0x38BF_C000:
        return _iss(size, rt, sf=size == 3, ar=True)
    if size == 3 and opc >= 2:
        return 0
    immediate = word >> 24 & 1
    mode = word >> 10 & 3
    offset_form = word >> 21 & 1
    plain = immediate or (mode == 2 if offset_form else mode in (0, 2))
    if not plain:
        return 0
    signed = opc >= 2
    sf = (opc == 2) if signed else size == 3
    return _iss(size, rt, sse=signed, sf=sf)


def _literal(word: int) -> int:
    opc, rt = word >> 30, word & 31
    if opc == 3:
        return 0
    return _iss(2 if opc != 1 else 3, rt, sse=opc == 2, sf=opc != 0)


def extended(value: int, iss: int) -> int:
    """What a load that :func:`isv_syndrome` tells of puts into its register."""
    if not iss & _SSE:
        return value
    sign = 1 << (8 << (iss >> 22 & 3)) - 1
    return (value ^ sign) - sign & (1 << (64 if iss & _SF else 32)) - 1


class Access(NamedTuple):
    """A load or store: its virtual address and how many bytes it touches from there."""

    address: int
    length: int


def access_of(word: int, pc: int, x: Callable[[int], int]) -> Access | None:
    """The memory access that ``word`` at ``pc`` makes, None if it makes none.

    ``x(n)`` gives register n, and SP for 31.
    """
    top = word >> 24 & 0x3F
    base = word >> 5 & 31
    if word & 0xFFFFFFE0 == 0xD50B7420:  # DC ZVA
        return Access(x(word & 31) & ~63, 64) if word & 31 != 31 else Access(0, 64)
    if top & 0x3F == 0b001000:
        pair = word >> 21 & 1 and not word >> 23 & 1
        return Access(x(base), (1 << (word >> 30)) * (2 if pair else 1))
    if top & 0b111011 == 0b011000:
        return Access(pc + signed(word >> 5, 19) * 4, _literal_length(word))
    if top & 0b111010 == 0b101000:
        return _pair_access(word, x(base))
    if top & 0b111010 == 0b111000:
        return _register_access(word, x(base), x)
    if top & 0b111111 in (0b001100, 0b001101):
        return Access(x(base), 64 if not top & 1 else 32)
    return None


def aligned_to(word: int) -> int:
    """What the address of the access that ``word`` makes has to be a multiple of where alignment is
    checked (SCTLR_EL1.A): the size of one register, or element of a structure; 1 for none."""
    top = word >> 24 & 0x3F
    if top & 0b111011 == 0b011000:
        prefetches = word >> 30 == 3 and not word >> 26 & 1
        return 1 if prefetches else _literal_length(word)
    if top & 0b111010 == 0b101000:
        return _pair_element(word)
    if top & 0b111010 == 0b111000:
        prefetches = word >> 30 == 3 and word >> 22 & 3 == 2 and not word >> 26 & 1
        return 1 if prefetches else 1 << _register_size(word)
    if top == 0b001100:
        return 1 << (word >> 10 & 3)
    return _lane(word) if top == 0b001101 else 1


def is_quadword(word: int) -> bool:
    """Whether an access is one of SIMD&FP registers of 16 bytes, each of which is two for a CPU
    that has no such."""
    if not word >> 26 & 1:
        return False
    top = word >> 24 & 0b111010
    if top == 0b101000:
        return word >> 30 == 2
    if top == 0b111000:
        return word >> 30 == 0 and word >> 23 & 1 == 1
    return word >> 24 & 0b111111 == 0b011100 and word >> 30 == 2


def is_store(word: int) -> bool:
    """Whether an access writes."""
    if word >> 24 & 0b111011 == 0b011000:
        return False
    if word >> 24 & 0b111010 == 0b111000:  # opc, of which vectors have the upper bit for their size
        opc = word >> 22 & 3
        return not opc & 1 if word >> 26 & 1 else not opc
    return not word >> 22 & 1


def _lane(word: int) -> int:
    """Of a single structure: its element, whose size the opcode gives."""
    opcode, size = word >> 14 & 3, word >> 10 & 3
    if opcode == 3:  # it is replicated
        return 1 << size
    return 8 if opcode == 2 and size == 1 else 1 << opcode


def _literal_length(word: int) -> int:
    opc = word >> 30
    if word >> 26 & 1:
        return 4 << opc
    return 8 if opc == 1 else 4


def _pair_element(word: int) -> int:
    opc, vector = word >> 30, word >> 26 & 1
    return 4 << opc if vector else (8 if opc == 2 else 4)


def _pair_access(word: int, base: int) -> Access:
    post_index = word >> 23 & 3 == 1
    offset = 0 if post_index else pair_offset(word)
    return Access(base + offset & (1 << 64) - 1, 2 * _pair_element(word))


def pair_offset(word: int) -> int:
    """The immediate offset of a load or store of a pair, in bytes."""
    return signed(word >> 15, 7) * _pair_element(word)


def _register_size(word: int) -> int:
    vector = word >> 26 & 1
    return word >> 30 | (word >> 21 & 4 if vector else 0)


def _register_access(word: int, base: int, x: Callable[[int], int]) -> Access:
    size = _register_size(word)
    length = 1 << size
    if word >> 24 & 1:
        offset = (word >> 10 & 0xFFF) * length
    elif word >> 21 & 1:
        offset = _index(word, x, size) if word >> 10 & 3 == 2 else 0
    else:
        offset = 0 if word >> 10 & 3 == 1 else signed(word >> 12, 9)
    return Access(base + offset & (1 << 64) - 1, length)


def _index(word: int, x: Callable[[int], int], size: int) -> int:
    register, option = word >> 16 & 31, word >> 13 & 7
    value = 0 if register == 31 else x(register)
    if option == 2:
        value &= 0xFFFFFFFF
    elif option == 6:
        value = signed(value, 32)
    return value << size if word >> 12 & 1 else value

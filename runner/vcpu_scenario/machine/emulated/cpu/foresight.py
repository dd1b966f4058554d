"""What a register will be at an instruction, told where its block begins.

A block has no branches in it, so that the words before the instruction say it, as far as they form
addresses in the usual ways. What is not understood is said not to be.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.branches import signed
from vcpu_scenario.machine.emulated.cpu import decode
from vcpu_scenario.machine.emulated.cpu.effects import (
    accesses_memory,
    is_atomic,
    may_store,
    written_by,
)
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware

_U64: Final = (1 << 64) - 1
_U32: Final = (1 << 32) - 1
_31: Final = 31
"""SP or XZR."""


class Unforeseen(Exception):
    """The value depends on what is not understood, or cannot be read."""


class Block(NamedTuple):
    """The words from ``pc`` on."""

    pc: int
    words: tuple[int, ...]


class Foresight(Struct):
    """Looks ahead from where ``cpu`` is, at the beginning of ``block``."""

    cpu: Hardware
    block: Block
    steps: int = 64
    """How many instructions are followed at most."""

    def word(self, n: int) -> int:
        return self.block.words[n]

    def register(self, n: int, register: int) -> int:
        """Register ``register`` (31 is SP) before the ``n``-th instruction; raises
        :class:`Unforeseen`."""
        words = self.block.words
        for before in range(n - 1, -1, -1):
            if written_by(words[before]) >> register & 1:
                return _made(self, before, register)
        return self.cpu.regs[register]


def _made(ahead: Foresight, n: int, register: int) -> int:
    """What the ``n``-th instruction, which may write ``register``, makes of it."""
    word = ahead.word(n)
    ahead.steps -= 1
    if ahead.steps < 0:
        raise Unforeseen
    if accesses_memory(word):
        return _moved(ahead, n, register)
    make = _maker(word)
    if make is None or word & 31 != register or (register == _31 and make is not _add_immediate):
        raise Unforeseen
    value = make(ahead, n)
    return value & (_U64 if word >> 31 or make in _OF_64_BITS else _U32)


def _zero_or(ahead: Foresight, n: int, register: int) -> int:
    return 0 if register == _31 else ahead.register(n, register)


# -- data processing -----------------------------------------------------------------------------

_Make = Callable[[Foresight, int], int]


def _pc_relative(ahead: Foresight, n: int) -> int:
    word, at = ahead.word(n), ahead.block.pc + 4 * n
    offset = signed(word >> 5 << 2 | word >> 29 & 3, 21)
    return (at & ~0xFFF) + (offset << 12) if word >> 31 else at + offset


def _add_immediate(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    value = (word >> 10 & 0xFFF) << 12 * (word >> 22 & 1)
    return ahead.register(n, word >> 5 & 31) + (-value if word >> 30 & 1 else value)


def _move_wide(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    shift = 16 * (word >> 21 & 3)
    value, opc = (word >> 5 & 0xFFFF) << shift, word >> 29 & 3
    if opc == 3:
        return ahead.register(n, word & 31) & ~(0xFFFF << shift) | value
    return value if opc else ~value


def _shifted(ahead: Foresight, n: int) -> int:
    """The second operand, shifted."""
    word = ahead.word(n)
    value = _zero_or(ahead, n, word >> 16 & 31)
    bits = 64 if word >> 31 else 32
    value &= (1 << bits) - 1
    kind, amount = word >> 22 & 3, word >> 10 & 63
    if kind == 0:
        return value << amount
    if kind == 1:
        return value >> amount
    if kind == 2:
        return signed(value, bits) >> amount
    raise Unforeseen


def _add_shifted(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    second = _shifted(ahead, n)
    return _zero_or(ahead, n, word >> 5 & 31) + (-second if word >> 30 & 1 else second)


def _add_extended(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    option = word >> 13 & 7
    bits = 8 << (option & 3)
    value = _zero_or(ahead, n, word >> 16 & 31) & (1 << bits) - 1
    value = (signed(value, bits) if option & 4 else value) << (word >> 10 & 7)
    return ahead.register(n, word >> 5 & 31) + (-value if word >> 30 & 1 else value)


def _logical_shifted(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    second = _shifted(ahead, n)
    second = ~second if word >> 21 & 1 else second
    first, opc = _zero_or(ahead, n, word >> 5 & 31), word >> 29 & 3
    return (first & second, first | second, first ^ second, first & second)[opc]


def _logical_immediate(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    width = 64 if word >> 31 else 32
    immediate, opc = _bitmask(word, width), word >> 29 & 3
    first = _zero_or(ahead, n, word >> 5 & 31)
    return (first & immediate, first | immediate, first ^ immediate, first & immediate)[opc]


def _bitmask(word: int, width: int) -> int:
    """A run of ones, rotated, in elements of a power of two: DecodeBitMasks of the manual."""
    n, immr, imms = word >> 22 & 1, word >> 16 & 63, word >> 10 & 63
    element = 1 << (n << 6 | ~imms & 63).bit_length() - 1
    ones, turn = (imms & element - 1) + 1, immr & element - 1
    run = (1 << ones) - 1
    run = (run >> turn | run << element - turn) & (1 << element) - 1
    return sum(run << at for at in range(0, width, element))


def _bitfield(ahead: Foresight, n: int) -> int:
    """UBFM and SBFM."""
    word = ahead.word(n)
    opc, immr, imms = word >> 29 & 3, word >> 16 & 63, word >> 10 & 63
    if opc & 1:
        raise Unforeseen
    bits = 64 if word >> 31 else 32
    value = _zero_or(ahead, n, word >> 5 & 31) & (1 << bits) - 1
    width = imms - immr + 1 if imms >= immr else imms + 1
    field = (value >> immr if imms >= immr else value) & (1 << width) - 1
    field = field if opc else signed(field, width)
    return field if imms >= immr else field << bits - immr


def _multiply(ahead: Foresight, n: int) -> int:
    word = ahead.word(n)
    first, second, third = (_zero_or(ahead, n, word >> at & 31) for at in (5, 16, 10))
    if word >> 23 & 1:  # UMADDL
        first, second = first & _U32, second & _U32
    product = first * second
    return third - product if word >> 15 & 1 else third + product


def _read_system(ahead: Foresight, n: int) -> int:
    return ahead.cpu.read_sys(_READABLE[ahead.word(n) & ~31])


_READABLE: Final = {
    0xD538_4100: sysregs.SP_EL0,
    0xD538_D080: sysregs.TPIDR_EL1,
    0xD53B_D040: sysregs.TPIDR_EL0,
}
_MAKERS: Final[tuple[tuple[int, int, _Make], ...]] = (
    (0x1F00_0000, 0x1000_0000, _pc_relative),
    (0x1F80_0000, 0x1100_0000, _add_immediate),
    (0x1F80_0000, 0x1200_0000, _logical_immediate),
    (0x1F80_0000, 0x1280_0000, _move_wide),
    (0x1F80_0000, 0x1300_0000, _bitfield),
    (0x1F20_0000, 0x0B00_0000, _add_shifted),
    (0x1FE0_0000, 0x0B20_0000, _add_extended),
    (0x1F00_0000, 0x0A00_0000, _logical_shifted),
    (0x7FE0_0000, 0x1B00_0000, _multiply),
    (0xFFE0_0000, 0x9BA0_0000, _multiply),
)
_OF_64_BITS: Final = (_pc_relative, _read_system)
"""Whatever bit 31 is."""


@lru_cache(maxsize=4096)
def _maker(word: int) -> _Make | None:
    if word & ~31 in _READABLE:
        return _read_system
    return next((make for mask, value, make in _MAKERS if word & mask == value), None)


# -- loads ---------------------------------------------------------------------------------------


def _moved(ahead: Foresight, n: int, register: int) -> int:
    """What a load, or its writeback, makes of ``register``."""
    word = ahead.word(n)
    loaded = _loaded_in(word)
    if register not in loaded:
        return _written_back(ahead, n, register)
    access = _access(ahead, n)
    for before in range(n):
        if may_store(ahead.word(before)):
            stored = _access(ahead, before)
            if stored.address < access.address + access.length and (
                access.address < stored.address + stored.length
            ):
                raise Unforeseen
    length = access.length // len(loaded)
    value = _read(ahead.cpu, access.address + length * loaded.index(register), length)
    return _extended(word, value, 8 * length)


def _written_back(ahead: Foresight, n: int, register: int) -> int:
    word = ahead.word(n)
    pair = word >> 27 & 7 == 0b101
    if word >> 5 & 31 != register or is_atomic(word) or not (pair or word >> 27 & 7 == 0b111):
        raise Unforeseen
    offset = decode.pair_offset(word) if pair else signed(word >> 12, 9)
    return ahead.register(n, register) + offset & _U64


def _loaded_in(word: int) -> tuple[int, ...]:
    """The registers that get what is loaded, in the order of memory."""
    kind, vector = word >> 27 & 7, word >> 26 & 1
    if vector:
        return ()
    if kind == 0b011 and word >> 30 != 3:
        return (word & 31,)
    if kind == 0b101 and word >> 22 & 1:
        return word & 31, word >> 10 & 31
    if kind == 0b111 and word >> 22 & 3 and not is_atomic(word):
        return (word & 31,)
    return ()


def _extended(word: int, value: int, bits: int) -> int:
    """What a register of 64 bits gets."""
    kind, opc = word >> 27 & 7, word >> 22 & 3
    if kind == 0b011:
        return signed(value, bits) & _U64 if word >> 30 == 2 else value
    if kind == 0b101:
        return signed(value, bits) & _U64 if word >> 30 == 1 else value
    return value if opc == 1 else signed(value, bits) & (_U64 if opc == 2 else _U32)


def _access(ahead: Foresight, n: int) -> decode.Access:
    def register(number: int) -> int:
        return ahead.register(n, number)

    access = decode.access_of(ahead.word(n), ahead.block.pc + 4 * n, register)
    if access is None:
        raise Unforeseen
    return access


def _read(cpu: Hardware, va: int, length: int) -> int:
    beyond_page = va & 0xFFF > 0x1000 - length
    ipa = None if beyond_page or cpu.is_big_endian else cpu.translate(va & _U64)
    data = None if ipa is None else cpu.stage2.read(ipa, length)
    if data is None:
        raise Unforeseen
    return int.from_bytes(data, "little")

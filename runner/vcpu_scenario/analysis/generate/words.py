"""A64 instructions as words, as far as generated programs use them.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), chapter C4; register 31
is SP or XZR as the instruction has it.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64.sysregs import Encoding

NOP: Final = 0xD503201F
YIELD: Final = 0xD503203F
WFE: Final = 0xD503205F
WFI: Final = 0xD503207F
SEV: Final = 0xD503209F
CLREX: Final = 0xD5033F5F
DSB: Final = 0xD5033F9F
ISB: Final = 0xD5033FDF
ERET: Final = 0xD69F03E0
RET: Final = 0xD65F03C0
DC_ZVA: Final = 0xD50B7420
DC_CIVAC: Final = 0xD50B7E20
DC_CVAU: Final = 0xD50B7B20
DC_ISW: Final = 0xD5087640
IC_IALLU: Final = 0xD508751F

X: Final = 1

BYTE, HALF, WORD, DOUBLE = range(4)
STORE: Final = 0
LOAD: Final = 1

POST: Final = 1
OFFSET: Final = 2
PRE: Final = 3
UNSCALED: Final = 0
UNPRIVILEGED: Final = 2

EQ, NE, CS, CC, MI, PL, VS, VC, HI, LS, GE, LT, GT, LE, AL = range(15)


def _field(value: int, bits: int) -> int:
    return value & (1 << bits) - 1


# -- values and arithmetic -----------------------------------------------------------------------


def movz(rd: int, value: int, shift: int = 0, sf: int = X) -> int:
    return sf << 31 | 0x52800000 | shift // 16 << 21 | _field(value, 16) << 5 | rd


def movk(rd: int, value: int, shift: int = 0) -> int:
    return 0xF2800000 | shift // 16 << 21 | _field(value, 16) << 5 | rd


def mov(rd: int, value: int) -> list[int]:
    """Load a 64-bit constant: one to four instructions."""
    shifts = [shift for shift in (0, 16, 32, 48) if value >> shift & 0xFFFF] or [0]
    first, *rest = shifts
    return [
        movz(rd, value >> first, first),
        *(movk(rd, value >> shift, shift) for shift in rest),
    ]


def add_immediate(rd: int, rn: int, value: int, sf: int = X) -> int:
    return sf << 31 | 0x11000000 | _field(value, 12) << 10 | rn << 5 | rd


def subtract_immediate(rd: int, rn: int, value: int, *, flags: bool = False, sf: int = X) -> int:
    return sf << 31 | 0x51000000 | flags << 29 | _field(value, 12) << 10 | rn << 5 | rd


REGISTER_OPERATIONS: Final = {
    "add": 0x0B000000,
    "adds": 0x2B000000,
    "sub": 0x4B000000,
    "subs": 0x6B000000,
    "and": 0x0A000000,
    "orr": 0x2A000000,
    "eor": 0x4A000000,
    "ands": 0x6A000000,
    "bic": 0x0A200000,
    "adc": 0x1A000000,
    "mul": 0x1B007C00,
    "udiv": 0x1AC00800,
    "sdiv": 0x1AC00C00,
    "lslv": 0x1AC02000,
    "lsrv": 0x1AC02400,
    "rorv": 0x1AC02C00,
}


def operation(name: str, rd: int, rn: int, rm: int, sf: int = X) -> int:
    return sf << 31 | REGISTER_OPERATIONS[name] | rm << 16 | rn << 5 | rd


def csel(rd: int, rn: int, rm: int, condition: int, sf: int = X) -> int:
    return sf << 31 | 0x1A800000 | rm << 16 | condition << 12 | rn << 5 | rd


def crc32x(rd: int, rn: int, rm: int) -> int:
    return 0x9AC04C00 | rm << 16 | rn << 5 | rd


def adr(rd: int, offset: int) -> int:
    return 0x10000000 | (offset & 3) << 29 | _field(offset >> 2, 19) << 5 | rd


# -- branches and exceptions ---------------------------------------------------------------------


def b(offset: int, *, link: bool = False) -> int:
    return 0x14000000 | link << 31 | _field(offset >> 2, 26)


def b_cond(condition: int, offset: int) -> int:
    return 0x54000000 | _field(offset >> 2, 19) << 5 | condition


def cbz(rt: int, offset: int, *, not_zero: bool = False) -> int:
    return 0xB4000000 | not_zero << 24 | _field(offset >> 2, 19) << 5 | rt


def tbz(rt: int, bit: int, offset: int, *, not_zero: bool = False) -> int:
    return (
        0x36000000
        | bit >> 5 << 31
        | not_zero << 24
        | (bit & 31) << 19
        | _field(offset >> 2, 14) << 5
        | rt
    )


def br(rn: int, *, link: bool = False) -> int:
    return 0xD61F0000 | link << 21 | rn << 5


def svc(value: int) -> int:
    return 0xD4000001 | _field(value, 16) << 5


def hvc(value: int = 0) -> int:
    return 0xD4000002 | _field(value, 16) << 5


def smc(value: int = 0) -> int:
    return 0xD4000003 | _field(value, 16) << 5


def brk(value: int) -> int:
    return 0xD4200000 | _field(value, 16) << 5


def hlt(value: int) -> int:
    return 0xD4400000 | _field(value, 16) << 5


def udf(value: int) -> int:
    return _field(value, 16)


# -- system registers ----------------------------------------------------------------------------


def mrs(rt: int, encoding: Encoding) -> int:
    return msr(rt, encoding) | 1 << 21


def msr(rt: int, encoding: Encoding) -> int:
    op0, op1, crn, crm, op2 = encoding
    return 0xD5000000 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5 | rt


def daifset(bits: int) -> int:
    return 0xD50340DF | bits << 8


def daifclr(bits: int) -> int:
    return 0xD50340FF | bits << 8


def spsel(value: int) -> int:
    return 0xD50040BF | value << 8


# -- loads and stores ----------------------------------------------------------------------------


def access(size: int, kind: int, rt: int, rn: int, offset: int) -> int:
    """LDR, STR and their narrow and sign-extending forms; ``offset`` counts in units of
    the access."""
    return size << 30 | 0x39000000 | kind << 22 | _field(offset, 12) << 10 | rn << 5 | rt


def access_indexed(size: int, kind: int, mode: int, rt: int, rn: int, offset: int) -> int:
    """The same with an offset in bytes: unscaled, unprivileged, pre- and post-indexed."""
    return (
        size << 30 | 0x38000000 | kind << 22 | _field(offset, 9) << 12 | mode << 10 | rn << 5 | rt
    )


def access_register(size: int, kind: int, rt: int, rn: int, rm: int, *, scaled: bool) -> int:
    """The same with the offset in a register, shifted by the size if ``scaled`` (LSL)."""
    return (
        size << 30 | 0x38206800 | kind << 22 | rm << 16 | (scaled and size > 0) << 12 | rn << 5 | rt
    )


def load_literal(rt: int, offset: int, opc: int = 1) -> int:
    return opc << 30 | 0x18000000 | _field(offset >> 2, 19) << 5 | rt


def vector_access(size: int, kind: int, rt: int, rn: int, offset: int) -> int:
    """A SIMD&FP register of 1 to 8 bytes; ``kind`` is LOAD or STORE."""
    return access(size, kind, rt, rn, offset) | 1 << 26


def pair(load: int, mode: int, rt: int, rt2: int, rn: int, offset: int, *, wide: int = 2) -> int:
    """LDP, STP; ``wide`` 0 for W, 1 for LDPSW, 2 for X; ``offset`` counts registers."""
    return (
        wide << 30
        | 0x28000000
        | mode << 23
        | load << 22
        | _field(offset, 7) << 15
        | rt2 << 10
        | rn << 5
        | rt
    )


def exclusive(size: int, load: int, rt: int, rn: int, status: int = 31) -> int:
    """LDXR and STXR; ``status`` is the register that a store's success goes to."""
    return size << 30 | 0x08007C00 | load << 22 | status << 16 | rn << 5 | rt


def ordered(size: int, load: int, rt: int, rn: int) -> int:
    """LDAR and STLR."""
    return size << 30 | 0x089FFC00 | load << 22 | rn << 5 | rt


def atomic_add(size: int, rs: int, rt: int, rn: int) -> int:
    """LDADD of FEAT_LSE."""
    return size << 30 | 0x38200000 | rs << 16 | rn << 5 | rt


def prefetch(rn: int, offset: int) -> int:
    return 0xF9800000 | _field(offset, 12) << 10 | rn << 5


def structure(load: int, rt: int, rn: int) -> int:
    """LD1 and ST1 of one 16-byte register."""
    return 0x4C007000 | load << 22 | rn << 5 | rt


def system(word: int, rt: int) -> int:
    """DC, IC, AT and TLBI operations that take a register."""
    return word | rt


def low_half(rd: int, rn: int) -> int:
    """UBFX of the low 16 bits."""
    return 0xD3403C00 | rn << 5 | rd


def shift_right(rd: int, rn: int, by: int) -> int:
    return 0xD340FC00 | by << 16 | rn << 5 | rd


def compare(rn: int, value: int) -> int:
    return subtract_immediate(31, rn, value, flags=True)


def or_bit(rd: int, rn: int, bit: int) -> int:
    """ORR with one bit as an immediate."""
    return 0xB2400000 | (64 - bit & 63) << 16 | rn << 5 | rd

"""Exception classes and syndrome bits of ESR_ELx (Arm ARM D17.2.37)."""

from __future__ import annotations

from typing import Final

EC_SHIFT: Final = 26
EC_MASK: Final = 0x3F << EC_SHIFT
IL: Final = 1 << 25

STEP_ISV: Final = 1 << 24
"""Of a software step: EX and the step itself are known."""
STEP_EX: Final = 1 << 6
"""Of a software step: a load-exclusive was executed."""
WNR: Final = 1 << 6
"""Of a data abort or a watchpoint: the access was a write."""
CM: Final = 1 << 8
"""Of a data abort or a watchpoint: the access was cache maintenance."""
BRK_IMMEDIATE: Final = 0xFFFF
"""Of a BRK: its immediate."""

EC_UNKNOWN: Final = 0x00
EC_WFX: Final = 0x01
EC_HVC64: Final = 0x16
EC_SMC64: Final = 0x17
EC_SYS64: Final = 0x18
EC_IABT_LOW: Final = 0x20
EC_IABT_CUR: Final = 0x21
EC_PC_ALIGNMENT: Final = 0x22
EC_DABT_LOW: Final = 0x24
EC_DABT_CUR: Final = 0x25
EC_SERROR: Final = 0x2F
EC_BREAKPT_LOW: Final = 0x30
EC_SOFTSTP_LOW: Final = 0x32
EC_WATCHPT_LOW: Final = 0x34
EC_BKPT32: Final = 0x38
EC_BRK64: Final = 0x3C

STEP_COMPLETE: Final = EC_SOFTSTP_LOW << EC_SHIFT | IL | STEP_ISV | 0x22
"""A software step exception after an instruction was executed: ISV 1."""
STEP_PENDING: Final = EC_SOFTSTP_LOW << EC_SHIFT | IL | 0x22
"""A software step exception from active-pending: ISV 0, nothing was executed."""


def class_of(syndrome: int) -> int:
    """The exception class."""
    return syndrome >> EC_SHIFT & 0x3F


def external_abort(from_el: int, *, fetch: bool = False) -> int:
    """The syndrome of a synchronous external abort taken to EL1 (DFSC 0x10)."""
    low = EC_IABT_LOW if fetch else EC_DABT_LOW
    return low + (1 if from_el else 0) << EC_SHIFT | IL | 0x10


def address_size_fault(
    from_el: int, level: int, *, is_write: bool = False, fetch: bool = False
) -> int:
    """The syndrome of an address size fault of stage 1, taken to EL1 (DFSC 0x00 to 0x03)."""
    low = EC_IABT_LOW if fetch else EC_DABT_LOW
    return low + (1 if from_el else 0) << EC_SHIFT | IL | is_write << 6 | level


def alignment_fault(from_el: int, *, is_write: bool) -> int:
    """The syndrome of an alignment fault of a data access taken to EL1 (DFSC 0x21)."""
    return EC_DABT_LOW + (1 if from_el else 0) << EC_SHIFT | IL | is_write << 6 | 0x21

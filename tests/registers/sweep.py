"""A guest that tries every encoding of MRS, MSR, SYS and SYSL, and keeps what came of each.

Of each instruction two words are kept: what is in its register afterwards, and the syndrome of
the exception that it took to EL1, 0 where it took none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from vcpu_scenario.case import Case, Gic, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.trace import Trace

Encoding: TypeAlias = tuple[int, int, int, int, int]
Outcome: TypeAlias = tuple[int, int]

BASE: Final = 0x4000_0000
VECTORS: Final = BASE + 0x80_0000
TABLE: Final = BASE + 0x100_0000
PAGE: Final = BASE + 0x180_0000
"""A page of RAM for what is done by address."""
MARK: Final = PAGE
"""In the register beforehand: a place in RAM that nothing else is at."""
_SIZE: Final = 0x200_0000

_BRK: Final = 0xD420_00E0
_STP: Final = 0xA880_0000 | 2 << 15 | 2 << 10 | 5 << 5 | 1
"""``stp x1, x2, [x5], #16``, of which imm7 is 2."""
_READ: Final = 0xD520_0000
_WRITE: Final = 0xD500_0000


@dataclass(frozen=True, slots=True)
class Sweep:
    """One guest: ``level`` it runs at, whether it ``reads`` (else writes), with which GIC."""

    level: int
    reads: bool
    gic: int = 0

    @property
    def name(self) -> str:
        gic = f" with a GICv{self.gic}" if self.gic else ""
        return f"{'reads' if self.reads else 'writes'} at EL{self.level}{gic}"


SWEEPS: Final = tuple(
    Sweep(level, reads, gic) for level, reads, gic in product((1, 0), (True, False), (0, 3))
)


def every() -> Iterator[Encoding]:
    """Every op0, op1, CRn, CRm, op2 but those that end the guest or the machine under it."""
    yield from product((1, 2, 3), range(8), range(16), range(16), range(8))


def instruction(encoding: Encoding, *, reads: bool) -> int:
    """MRS or SYSL to x1, MSR or SYS from it."""
    op0, op1, crn, crm, op2 = encoding
    head = _READ if reads else _WRITE
    return head | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5 | 1


def case(sweep: Sweep, encodings: Sequence[Encoding]) -> Case:
    """The guest that tries ``encodings`` in order."""
    code = []
    for encoding in encodings:
        code += [*_address(1, MARK), 0xD280_0002, *_tried(sweep, encoding), _STP]
    code.append(_BRK)
    gic = Gic(3, 0x800_0000, 0x80A_0000) if sweep.gic == 3 else None
    return Case(
        slots=(Memslot(BASE, _SIZE),),
        loads=(
            Load(BASE, struct.pack(f"<{len(code)}I", *code)),
            Load(VECTORS, _vectors()),
        ),
        regs=(
            ("pc", BASE),
            ("pstate", 0x3C5 if sweep.level else 0x3C0),
            ("vbar_el1", VECTORS),
            ("x5", TABLE),
        ),
        debug=GuestDebug(0x1_0001),
        gic=gic,
        limits=Limits(exits=1, instructions=10_000_000, seconds=60),
        peek=((TABLE, 16 * len(encodings)),),
    )


def _tried(sweep: Sweep, encoding: Encoding) -> list[int]:
    if sweep.reads:
        return [instruction(encoding, reads=True)]
    if not sweep.level or encoding[0] == 1 or encoding in ZEROED:
        return [instruction(encoding, reads=False)]
    # What is written is what was read, so that nothing of the guest changes under it.
    return [instruction(encoding, reads=True), 0xD280_0002, instruction(encoding, reads=False)]


ZEROED: Final[frozenset[Encoding]] = frozenset()


def _address(register: int, value: int) -> list[int]:
    return [
        0xD280_0000 | (value & 0xFFFF) << 5 | register,
        0xF2A0_0000 | (value >> 16 & 0xFFFF) << 5 | register,
    ]


def _vectors() -> bytes:
    """Each keeps ESR_EL1 in x2, and goes on behind the instruction."""
    handler = [
        0xD538_5202,  # mrs x2, esr_el1
        0xD538_4023,  # mrs x3, elr_el1
        0x9100_1063,  # add x3, x3, #4
        0xD518_4023,  # msr elr_el1, x3
        0xD69F_03E0,  # eret
    ]
    words = struct.pack(f"<{len(handler)}I", *handler)
    return b"".join(words.ljust(0x80, b"\0") for _ in range(16))


def outcomes(trace: Trace, encodings: Sequence[Encoding]) -> Mapping[Encoding, Outcome]:
    """What came of each, as far as the guest came."""
    data = trace.memory[TABLE]
    found = struct.iter_unpack("<QQ", data)
    return dict(zip(encodings, found, strict=True))

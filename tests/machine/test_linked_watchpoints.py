"""The guest's own watchpoints: linked to a breakpoint for a context, of a security state, and of a
word.

As on Debian's 7.2.13 (QEMU 7.2, Cortex-A57), where each of these was run.
"""

from __future__ import annotations

import struct

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Limits, Load

from .test_bounds import BASE, code, run

VECTORS = BASE + 0x800
DATA = BASE + 0x2000
CONTEXTIDR = (3, 0, 13, 0, 1)
LINKED_TO_4, LINKED_TO_3 = 0x14_1FFB, 0x13_1FFB
LINKED_CONTEXT, DISABLED, NOT_LINKED = 0x30_0007, 0x30_0006, 0x20_0007


def _load(address: int, words: list[int]) -> Load:
    return Load(address, struct.pack(f"<{len(words)}I", *words))


def hits(
    control: int,
    breakpoint_: int = 0,
    context: int = 0,
    *,
    at: int = DATA,
    store: int = w.access(w.DOUBLE, w.STORE, 2, 1, 0),
) -> bool:
    """Whether ``store``, to DATA in x1, hits watchpoint 0 at ``at`` with ``control``, of a guest
    whose context is ``context`` and whose breakpoints 3 and 4 are for context 5."""
    words = [w.msr(31, (2, 0, 1, 0, 4))]  # OSLAR_EL1
    for encoding, value in (
        ((2, 0, 0, 0, 6), at),
        ((2, 0, 0, 0, 7), control),
        ((2, 0, 0, 3, 4), 5),
        ((2, 0, 0, 3, 5), breakpoint_),
        ((2, 0, 0, 4, 4), 5),
        ((2, 0, 0, 4, 5), breakpoint_),
        (CONTEXTIDR, context),
        ((2, 0, 0, 2, 2), 0xA000),  # MDSCR_EL1: MDE and KDE
    ):
        words += [*w.mov(1, value), w.msr(1, encoding)]
    words += [w.ISB, w.daifclr(8), *w.mov(1, DATA), store]
    words += [*w.mov(0, 0x8400_0008), w.hvc()]
    handler = [w.movz(19, 1), *w.mov(0, 0x8400_0008), w.hvc()]
    case = code(
        loads=(_load(BASE, words), _load(VECTORS + 0x200, handler)),
        regs=(("pc", BASE), ("vbar_el1", VECTORS)),
        observe=("x19",),
        limits=Limits(exits=1),
    )
    trace = run(case)
    assert trace.exits[0].exit == "SYSTEM_EVENT", trace
    return trace.exits[0].regs["x19"] == 1


@pytest.mark.parametrize(
    ("control", "breakpoint_", "context", "hit"),
    [
        (0x1FFB, LINKED_CONTEXT, 6, True),
        (LINKED_TO_4, LINKED_CONTEXT, 5, True),
        (LINKED_TO_4, LINKED_CONTEXT, 6, False),
        (LINKED_TO_4, DISABLED, 5, False),
        (LINKED_TO_4, NOT_LINKED, 5, False),
        (LINKED_TO_3, LINKED_CONTEXT, 5, False),
        (0x5FFB, LINKED_CONTEXT, 5, True),
        (0x9FFB, LINKED_CONTEXT, 5, False),
        (0xDFFB, LINKED_CONTEXT, 5, True),
    ],
)
def test_a_watchpoint_hits_in_its_context_alone(
    control: int, breakpoint_: int, context: int, *, hit: bool
) -> None:
    assert hits(control, breakpoint_, context) is hit


@pytest.mark.parametrize(
    ("select", "offset", "hit"),
    [
        (0x0F, 0, False),
        (0x0F, 4, True),
        (0x02, 4, False),
        (0x02, 5, True),
        (0xF0, 4, False),
        (0xFF, 7, True),
    ],
)
def test_a_word_that_is_no_doubleword_selects_four_bytes_from_itself_on(
    select: int, offset: int, *, hit: bool
) -> None:
    """As on Debian's 6.12, for 0xF: of DBGWVR_EL1[2] set BAS[7:4] are ignored (Arm ARM)."""
    store = w.access(0, w.STORE, 2, 1, offset)
    assert hits(select << 5 | 0x1B, at=DATA + 4, store=store) is hit

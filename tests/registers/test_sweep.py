"""What a guest's MRS, MSR, SYS and SYSL give: as on a real kernel, or told by name.

``recorded.json.xz`` has what Debian's 5.10.223, 6.12.118 and 7.2.13 gave (QEMU 7.2, Cortex-A57),
by kernel, sweep and encoding; an encoding that it does not have is UNDEFINED there.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

from tests.registers.sweep import (
    BASE,
    MARK,
    SWEEPS,
    Encoding,
    Outcome,
    Sweep,
    case,
    every,
    outcomes,
)

pytestmark = pytest.mark.slow

UNDEFINED: Final[Outcome] = (MARK, 0x0200_0000)

COUNTERS: Final = frozenset(
    {
        (3, 3, 14, 0, 1),  # CNTPCT_EL0
        (3, 3, 14, 0, 2),  # CNTVCT_EL0
        (3, 3, 14, 2, 0),  # CNTP_TVAL_EL0
        (3, 3, 14, 2, 2),  # CNTP_CVAL_EL0, once TVAL is written
        (3, 3, 14, 3, 0),  # CNTV_TVAL_EL0
        (3, 3, 14, 3, 2),  # CNTV_CVAL_EL0, once TVAL is written
        (3, 0, 4, 0, 1),  # ELR_EL1
    }
)
"""What they hold is a matter of time, or of the length of the code before: that they can be
accessed is compared."""

QUIRKS: Final = frozenset({(2, 0, 0, 2, 0)})
"""MDCCINT_EL1: QEMU gives whatever was in a register of its own once KVM does not trap it."""

_EVERY: Final = 61
"""Of the encodings that are UNDEFINED on real kernels one in so many is tried on all of them."""


@cache
def recorded() -> Mapping[str, Mapping[str, Mapping[Encoding, Outcome]]]:
    with lzma.open(Path(__file__).with_name("recorded.json.xz"), "rt") as file:
        document = json.load(file)
    return {
        kernel: {
            name: {_encoding(text): (value[0], value[1]) for text, value in rows.items()}
            for name, rows in sweeps.items()
        }
        for kernel, sweeps in document.items()
    }


def _encoding(text: str) -> Encoding:
    op0, op1, crn, crm, op2 = map(int, text.split(","))
    return op0, op1, crn, crm, op2


def emulated(kernel: str, sweep: Sweep, encodings: Sequence[Encoding]) -> dict[Encoding, Outcome]:
    """What came of each, without those that are told."""
    found: dict[Encoding, Outcome] = {}
    left = list(encodings)
    while left:
        machine = create(kernel)
        try:
            trace = run_case(machine, case(sweep, left))
        finally:
            machine.close()
        if trace.unmodelled is None:
            return found | dict(outcomes(trace, left))
        assert trace.unmodelled.pc is not None
        at = _reached(sweep, left, trace.unmodelled.pc)
        if at:
            found |= emulated(kernel, sweep, left[:at])
        left = left[at + 1 :]
    return found


def _reached(sweep: Sweep, encodings: Sequence[Encoding], pc: int) -> int:
    words = (pc - BASE) // 4
    for number, encoding in enumerate(encodings):
        words -= len(case(sweep, [encoding]).loads[0].data) // 4 - 1
        if words < 0:
            return number
    raise AssertionError(f"{pc:#x} is behind all of them")


def _selected(sweep: Sweep, kernel: str) -> Iterator[Encoding]:
    rows = recorded()[kernel][sweep.name]
    for number, encoding in enumerate(every()):
        if encoding in rows or number % _EVERY == 0:
            yield encoding


@pytest.mark.parametrize("kernel", ["5.10", "6.12", "7.2"])
@pytest.mark.parametrize("sweep", [s for s in SWEEPS if s.level or not s.gic], ids=lambda s: s.name)
def test_each_register_is_right_or_told(sweep: Sweep, kernel: str) -> None:
    rows = recorded()[kernel][sweep.name]
    found: dict[Encoding, Outcome] = {}
    # As it was recorded: a guest for each op0, so that PAR_EL1 has seen no AT before.
    for _, group in groupby(_selected(sweep, kernel), lambda encoding: encoding[0]):
        found |= emulated(kernel, sweep, list(group))
    wrong = {
        encoding: (outcome, rows.get(encoding, UNDEFINED))
        for encoding, outcome in found.items()
        if not _right(encoding, outcome, rows.get(encoding, UNDEFINED))
    }
    assert not wrong
    assert len(found) > len(rows) // 2


def _right(encoding: Encoding, found: Outcome, real: Outcome) -> bool:
    if encoding in QUIRKS:
        return True
    if encoding in COUNTERS:
        return found[1] == real[1]
    return found == real

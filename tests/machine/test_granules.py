"""A granule that a CPU lacks, and a size that is too large or too small, are told where stage 1
would have them, and nowhere else.

QEMU 7.2 walks by another granule, as random program 3535 showed; Unicorn has all of them. With such
a size each access of the lower half faults there (100565), and Unicorn takes the size that is next.
"""

from __future__ import annotations

import struct

import pytest
from vcpu_scenario.case import Case, Limits, Load, Memslot, SetRegister
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

RAM = 0x4000_0000
TABLE = RAM + 0x1000
BLOCK = RAM | 0x701
CODE = words("msr tcr_el1, x0; msr sctlr_el1, x1; isb; msr tcr_el1, x2; isb; brk #7")
GOOD, EPD1 = 0x80_3519, 1 << 23
ON, OFF = 0x30D0_0801, 0x30D0_0800


def run(first: int, sctlr: int, then: int, cpu: str = "cortex-a57", vmm: int = 0) -> Trace:
    tables = struct.pack("<2Q", 0, BLOCK)
    case = Case(
        (Memslot(RAM, 1 << 16),),
        (Load(RAM, struct.pack("<6I", *CODE)), Load(TABLE, tables)),
        (("pc", RAM), ("ttbr0_el1", TABLE), ("x0", first), ("x1", sctlr), ("x2", then)),
        debug=GuestDebug(0x1_0001),
        on=((0, (SetRegister("tcr_el1", vmm),)),) if vmm else (),
        limits=Limits(exits=2 if vmm else 1),
    )
    machine = create(f"6.12+{cpu}")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


@pytest.mark.parametrize("bad", [GOOD | 0x8000, GOOD | 0xC000, GOOD & ~EPD1 | 0x4000_0000])
def test_stage_1_with_one_is_told(bad: int) -> None:
    for trace in (run(bad, ON, GOOD), run(GOOD, ON, bad), run(GOOD, ON, GOOD, vmm=bad)):
        assert "granule that the CPU lacks" in str(trace.unmodelled)


@pytest.mark.parametrize("size", [0, 5, 15, 40, 63])
def test_a_size_of_the_lower_half_that_there_is_not_is_told(size: int) -> None:
    bad = GOOD & ~0x3F | size
    for trace in (run(bad, ON, GOOD), run(GOOD, ON, bad), run(GOOD, ON, GOOD, vmm=bad)):
        assert f"TCR_EL1.T0SZ of {size};" in str(trace.unmodelled)


@pytest.mark.parametrize(
    ("first", "sctlr", "then"),
    [
        (GOOD | 0x8000, OFF, GOOD | 0x8000),  # stage 1 is off
        (GOOD, ON, GOOD | 0x4000_0000),  # EPD1: there is no walk
        (GOOD & ~0x3F, OFF, GOOD & ~0x3F),
        (GOOD, ON, GOOD & ~0x3F_0000 & ~EPD1),  # the upper half, which is not used
    ],
)
def test_where_no_walk_takes_it_it_is_modelled(first: int, sctlr: int, then: int) -> None:
    assert run(first, sctlr, then).exits[0].exit == "DEBUG"


def test_a_cpu_that_has_it_is_modelled() -> None:
    assert run(GOOD, OFF, GOOD | 0x8000, "cortex-a76").unmodelled is None
    assert run(GOOD | 0x8000, ON, GOOD, "cortex-a76").unmodelled is None

"""PSTATE.PAN, as a Cortex-A76 has it. Each value is that of Debian's 6.12 on that CPU in a lab."""

from __future__ import annotations

import struct
from typing import Final

import pytest
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

RAM: Final = 0x4000_0000
L1, L2, UNTOUCHED, HANDLER = RAM + 0x2000, RAM + 0x3000, RAM + 0x4000, RAM + 0x200
EL1_ONLY, OF_EL0 = 0x701, 0x741
TCR: Final = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32
PAN: Final = 1 << 22
SCTLR: Final = 0x0045_0079
SPAN: Final = 1 << 23
SET: Final = 0xD500_419F
"""MSR PAN, #1."""
READ: Final = 0xD538_4263
"""MRS X3, PAN."""
TRANSLATE_READ, TRANSLATE_WRITE = 0xD508_7900, 0xD508_7920
"""AT S1E1RP, X0 and AT S1E1WP, X0."""
PAR: Final = words("isb; mrs x1, par_el1")
PERMISSION: Final = 0x9600_000E


def run(code: tuple[int, ...], sctlr: int = SCTLR | SPAN, pstate: int = 0x3C5) -> dict[str, int]:
    """Registers at the BRK behind ``code``, or at that of the vectors: there x1 is ESR_EL1, x2
    SPSR_EL1 and x3 PAN. x0 is an address that EL0 may use."""
    handler = (*words("mrs x1, esr_el1; mrs x2, spsr_el1"), READ, *words("brk #0x99"))
    loads = {
        RAM: struct.pack(f"<{len(code) + 1}I", *code, *words("brk #7")),
        HANDLER: struct.pack("<4I", *handler),
        L1 + 8: struct.pack("<2Q", L2 | 3, UNTOUCHED | 3),
        UNTOUCHED: struct.pack("<Q", RAM | OF_EL0),
        L2: struct.pack("<2Q", RAM | EL1_ONLY, RAM | OF_EL0),
    }
    regs = {"pc": RAM, "vbar_el1": RAM, "x0": RAM + 0x20_0800, "ttbr0_el1": L1, "mair_el1": 0xFF}
    regs |= {"tcr_el1": TCR, "sctlr_el1": sctlr, "pstate": pstate}
    machine = create("6.12+cortex-a76")
    try:
        trace = run_case(
            machine,
            Case(
                slots=(Memslot(RAM, 0x10000),),
                loads=tuple(Load(at, data) for at, data in loads.items()),
                regs=tuple(regs.items()),
                debug=GuestDebug(0x1_0001),
                limits=Limits(exits=1),
                observe=("x1", "x2", "x3"),
            ),
        )
    finally:
        machine.close()
    return dict(trace.exits[0].regs)


@pytest.mark.parametrize(
    ("access", "x1"),
    [
        (words("ldr x1, [x0]"), PERMISSION),
        (words("str xzr, [x0]"), PERMISSION | 1 << 6),
        (words("mov x1, #0; ldtr x2, [x0]"), 0),
        (words("mov x1, #0; sttr xzr, [x0]"), 0),
        (words("ldxr x1, [x0]"), PERMISSION),
        ((*words("at s1e1r, x0"), *PAR, *words("and x1, x1, #1")), 0),
        ((TRANSLATE_READ, *PAR, *words("and x1, x1, #0xfff")), 0x81D),
        ((TRANSLATE_WRITE, *PAR, *words("and x1, x1, #0xfff")), 0x81D),
    ],
    ids=["ldr", "str", "ldtr", "sttr", "ldxr", "at s1e1r", "at s1e1rp", "at s1e1wp"],
)
def test_el1_may_not_access_what_el0_may(access: tuple[int, ...], x1: int) -> None:
    assert run((SET, *access))["x1"] == x1


def test_a_translation_goes_through_a_table_that_stage_2_does_not_map_yet() -> None:
    code = (SET, *words("mov x0, #0x80000000"), TRANSLATE_READ, *PAR)
    assert run((*code, *words("and x1, x1, #0xfff")))["x1"] == 0x81D


def test_without_it_el1_may() -> None:
    assert run(words("mov x1, #0; ldr x2, [x0]"))["x1"] == 0


@pytest.mark.parametrize("cause", [words("svc #1"), words("udf #0"), words("mrs x1, pmcr_el0")])
@pytest.mark.parametrize(("span", "pan"), [(SPAN, 0), (0, PAN)])
def test_an_exception_sets_it_unless_span(cause: tuple[int, ...], span: int, pan: int) -> None:
    """The last one is KVM's: there is no PMU."""
    before = run(cause, SCTLR | span)
    after = run((SET, *cause), SCTLR | span)
    assert (before["x2"] & PAN, before["x3"]) == (0, pan)
    assert (after["x2"] & PAN, after["x3"]) == (PAN, PAN)


def test_an_exception_return_restores_it() -> None:
    back = words("mov x1, #0x3c5; msr spsr_el1, x1; adr x1, back; msr elr_el1, x1; eret; back: nop")
    assert run((SET, *back, READ))["x3"] == 0


def test_a_vmm_may_set_it() -> None:
    assert run((READ,), pstate=0x3C5 | PAN)["x3"] == PAN

"""Each feature that KVM shows a guest on a Cortex-A76: it works as on real kernels, or is told.

What works was run on Debian's 5.10.223 and 7.2.13 (QEMU 7.2, -cpu cortex-a76) as well.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetVcpuEvents
from vcpu_scenario.kvm.registers import id_of, sys_reg
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import NotModelled
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

SHOWN: Final = json.loads(Path(__file__).with_name("cortex-a76-ids.json").read_text())
RAM: Final = 0x4000_0000
PFR0, PFR1, DFR0, ISAR0, ISAR1, MMFR0, MMFR1, MMFR2 = (
    "3,0,0,4,0",
    "3,0,0,4,1",
    "3,0,0,5,0",
    "3,0,0,6,0",
    "3,0,0,6,1",
    "3,0,0,7,0",
    "3,0,0,7,1",
    "3,0,0,7,2",
)
UNDEFINED: Final = 0x0200_0000
HANDLER: Final = words("mrs x1, esr_el1; brk #0x99")

TOLD: Final[dict[tuple[str | int, ...], tuple[str, tuple[int, ...]]]] = {
    (PFR0, 0): ("AArch32", words("mov x1, #0x10; msr spsr_el1, x1; msr elr_el1, x0; eret")),
    (PFR0, 4): ("FEAT_FP16", words("fadd h0, h0, h0")),
    (PFR0, 5): ("FEAT_FP16", words("fadd v0.8h, v0.8h, v0.8h")),
    (PFR0, 7): ("FEAT_RAS", words("mrs x1, s3_0_c5_c3_1")),
    (PFR1, 1): ("FEAT_SSBS", words("mrs x1, s3_3_c4_c2_6")),
    (PFR1, 1, "SPSR"): ("FEAT_SSBS", words("mov x1, #0x13c5; msr spsr_el1, x1")),
    (PFR1, 1, "SCTLR"): ("FEAT_SSBS", words("mov x1, #0x100000000000; msr sctlr_el1, x1")),
    (MMFR1, 0): ("FEAT_HAFDBS", words("mov x1, #0x10000000000; msr tcr_el1, x1")),
    (MMFR2, 1): ("PSTATE.UAO", (0xD500_417F,)),  # msr uao, #1
}
"""By register and field: the name, and code that asks for it."""

GIVES: Final[dict[tuple[str | int, ...], tuple[int, tuple[int, ...]]]] = {
    (DFR0, 3): (0, words("mrs x1, dbgbvr5_el1")),
    (DFR0, 5): (0, words("mrs x1, dbgwvr3_el1")),
    (ISAR0, 1): (
        0x6363_6363_6363_6363,
        words("movi v0.2d, #0; movi v1.2d, #0; aese v0.16b, v1.16b; fmov x1, d0"),
    ),
    (ISAR0, 2): (0x4000_0000, words("mov w1, #1; fmov s0, w1; sha1h s0, s0; fmov w1, s0")),
    (ISAR0, 3): (
        0x1_0200_4000,
        words("mov x1, #0x100000000; fmov d0, x1; sha256su0 v0.4s, v1.4s; fmov x1, d0"),
    ),
    (ISAR0, 4): (0x7707_3096, words("mov w1, #1; crc32b w1, wzr, w1")),
    (ISAR0, 5): (7, words("mov w2, #7; str w2, [x0]; ldadd w2, w1, [x0]")),
    (ISAR0, 7): (
        0x2000_2000_2000_2000,
        words(
            "mov w1, #0x4000; dup v1.4h, w1; movi v0.2d, #0; sqrdmlah v0.4h, v1.4h, v1.4h;"
            " fmov x1, d0"
        ),
    ),
    (MMFR1, 5): (1 << 22, (0xD500_419F, 0xD538_4261)),  # msr pan, #1; mrs x1, pan
    (ISAR0, 11): (
        0x18_0000_0018,
        words(
            "movi v0.2d, #0; movi v1.16b, #2; movi v2.16b, #3; udot v0.2s, v1.8b, v2.8b;"
            " fmov x1, d0"
        ),
    ),
    (ISAR1, 0): (1, words("mov x1, #1; dc cvap, x0")),
    (ISAR1, 5): (7, words("mov w2, #7; str w2, [x0]; ldapr w1, [x0]")),
    (MMFR0, 1): (
        1 << 63,
        words("mov x1, #0x8000000000000000; msr ttbr0_el1, x1; mrs x1, ttbr0_el1"),
    ),
    (MMFR1, 2): (UNDEFINED, words("mrs x1, s3_5_c1_c0_0")),  # SCTLR_EL12, of a VHE host alone
    (MMFR1, 4): (0, words("mrs x1, s3_0_c10_c4_7")),  # LORID_EL1
    (MMFR2, 0): (1, words("mov x1, #1; msr ttbr0_el1, x1; mrs x1, ttbr0_el1")),
}
"""What is in x1 afterwards."""

ELSEWHERE: Final[dict[tuple[str | int, ...], str]] = {
    (PFR0, 1): "EL1",
    (PFR0, 2): "EL2, which KVM shows and the guest never reaches",
    (PFR0, 6): "the registers of a GICv3: tests/vgic, and UNDEFINED without one",
    (PFR0, 14): "CSV2: no speculation here",
    (PFR0, 15): "CSV3",
    (DFR0, 0): "debug registers",
    (DFR0, 2): "the PMU: tests/pmu",
    (DFR0, 7): "breakpoints linked to a context: tests/machine/test_linked_watchpoints.py",
    (MMFR0, 0): "PARange: tests/machine/test_mmu.py",
    (MMFR0, 2): "BigEnd: scenarios/mmio/big-endian-guest",
    (MMFR0, 3): "secure memory, of which a guest has none",
    (MMFR0, 5): "TGran16: tests/machine/test_mmu.py",
    (MMFR1, 1): "VMIDBits, of stage 2",
    (MMFR1, 3): "HPDS: below",
    (MMFR1, 7): "XNX, of stage 2",
    (MMFR2, 3): "IESB: below",
}


def run(code: tuple[int, ...], **more: object) -> Trace:
    image = [*code, *words("brk #7")]
    image += [*[0] * (0x80 - len(image)), *HANDLER]
    given = {
        "slots": (Memslot(RAM, 0x10000),),
        "loads": (Load(RAM, struct.pack(f"<{len(image)}I", *image)),),
        "regs": (("pc", RAM), ("vbar_el1", RAM), ("x0", RAM + 0x800), ("cpacr_el1", 3 << 20)),
        "debug": GuestDebug(0x1_0001),
        "limits": Limits(exits=1),
        "observe": ("x1",),
    }
    machine = create("7.2+cortex-a76")
    try:
        return run_case(machine, Case(**{**given, **more}))  # type: ignore[arg-type]
    finally:
        machine.close()


def test_every_field_that_kvm_shows_is_accounted_for() -> None:
    shown = {
        (register, field)
        for register in (PFR0, PFR1, DFR0, ISAR0, ISAR1, MMFR0, MMFR1, MMFR2)
        for value in SHOWN[register].values()
        for field in range(16)
        if int(value, 0) >> 4 * field & 0xF
    }
    assert shown == {(key[0], key[1]) for key in (*TOLD, *GIVES, *ELSEWHERE)}
    read = {register for register, _ in shown}
    others = [key for key in SHOWN if key >= "3,0,0,4" and key not in read]
    assert not any(int(value, 0) for key in others for value in SHOWN[key].values())


@pytest.mark.parametrize(("name", "code"), TOLD.values(), ids=map(str, TOLD))
def test_what_is_not_modelled_is_told(name: str, code: tuple[int, ...]) -> None:
    assert name in str(run(code).unmodelled)


@pytest.mark.parametrize(("x1", "code"), GIVES.values(), ids=map(str, GIVES))
def test_what_is_modelled_works(x1: int, code: tuple[int, ...]) -> None:
    assert run(code).exits[0].regs["x1"] == x1


@pytest.mark.parametrize(
    ("register", "bit", "name"),
    [
        (sysregs.TCR_EL1, 40, "FEAT_HAFDBS"),
        (sysregs.SCTLR_EL1, 44, "FEAT_SSBS"),
        ("pstate", 12, "SSBS"),
        ("pstate", 23, "UAO"),
    ],
)
def test_a_vmm_that_switches_on_what_is_not_modelled_is_told(
    register: sysregs.Encoding | str, bit: int, name: str
) -> None:
    reg = id_of(register) if isinstance(register, str) else sys_reg(*register)
    for cpu in ("cortex-a76", "cortex-a57"):
        machine = create(f"7.2+{cpu}")
        machine.vcpu_init(())
        told = ""
        try:
            machine.set_one_reg(reg, machine.get_one_reg(reg) | 1 << bit)
            machine.kvm_run(instructions=1, seconds=1)
        except NotModelled as limit:
            told = limit.what
        machine.close()
        assert (name in told) == (cpu == "cortex-a76")


@pytest.mark.parametrize(
    "barrier",
    [
        words("hint #16"),
        words("mrs x2, sctlr_el1; orr x2, x2, #0x200000; msr sctlr_el1, x2; nop"),
    ],
    ids=["ESB", "SCTLR_EL1.IESB"],
)
def test_an_error_barrier_is_told_while_an_serror_pends(barrier: tuple[int, ...]) -> None:
    pending = SetVcpuEvents(serror=True)
    assert "FEAT_RAS" in str(run(barrier, before=(pending,)).unmodelled)
    assert run(barrier).exits[0].fields["hsr"]


READ_ONLY_BELOW: Final = 1 << 62
L1, L2 = RAM + 0x2000, RAM + 0x3000
ON: Final = words(
    "msr ttbr0_el1, x2; msr mair_el1, x3; msr tcr_el1, x4; isb;"
    " mrs x5, sctlr_el1; orr x5, x5, #1; msr sctlr_el1, x5; isb;"
    " mov x1, #0; str x1, [x0]"
)


@pytest.mark.parametrize(("hpd", "x1"), [(0, 0x9600_004E), (1, 0)])
def test_tables_limit_what_they_lead_to_unless_that_is_off(hpd: int, x1: int) -> None:
    """TCR_EL1.HPD0: APTable of a descriptor is ignored."""
    tables = (
        Load(L1 + 8, struct.pack("<Q", L2 | 3 | READ_ONLY_BELOW)),
        Load(L2, struct.pack("<Q", RAM | 0x701)),
    )
    code = (*ON, *words("brk #7"))
    image = [*code, *[0] * (0x80 - len(code)), *HANDLER]
    tcr = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32 | hpd << 41
    trace = run(
        code,
        loads=(Load(RAM, struct.pack(f"<{len(image)}I", *image)), *tables),
        regs=(
            ("pc", RAM),
            ("vbar_el1", RAM),
            ("x0", RAM + 0x800),
            ("x2", L1),
            ("x3", 0xFF),
            ("x4", tcr),
        ),
    )
    assert trace.exits[0].regs["x1"] == x1

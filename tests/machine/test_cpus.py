"""What a Cortex-A76 runs that a Cortex-A57 has not: as on hardware, or told by name.

LSE and LDAPR to memory that is nobody's are in the recorded jobs.
"""

from __future__ import annotations

import json
from errno import EBUSY, EINVAL
from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetVcpuEvents
from vcpu_scenario.ioctls.vm import EnableCap
from vcpu_scenario.kernels.hosts import UnknownHost
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import sys_reg
from vcpu_scenario.machine.emulated.kvm.idfields import ctr_fits
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.running.targets import Emulated
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

RAM = 0x4000_0000
UNDEFINED = 0x0200_0000
HANDLER = words("mrs x3, esr_el1; brk #0x99")

SHOWN: Final = json.loads(Path(__file__).with_name("cortex-a76-ids.json").read_text())
"""By encoding and kernel what a guest without a GIC read there (QEMU 7.2, -cpu cortex-a76)."""


def run(cpu: str, code: list[int], kernel: str = "6.12", **regs: int) -> Trace:
    body = [*code, *words("brk #7")]
    image = [*body, *[0] * (0x80 - len(body)), *HANDLER]
    case = Case(
        slots=(Memslot(RAM, 0x10000),),
        loads=(Load(RAM, b"".join(word.to_bytes(4, "little") for word in image)),),
        regs=(("pc", RAM), ("vbar_el1", RAM), ("x0", RAM + 0x800), *regs.items()),
        debug=GuestDebug(0x1_0001),
        limits=Limits(exits=1),
    )
    machine = create(f"{kernel}+{cpu}")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


@pytest.mark.parametrize(
    ("word", "x1"),
    [
        (0xB822_0001, 7),  # ldadd w2, w1, [x0]
        (0xB822_8001, 7),  # swp w2, w1, [x0]
        (0xB8BF_C001, 7),  # ldapr w1, [x0]
    ],
    ids=["ldadd", "swp", "ldapr"],
)
def test_instructions_of_armv8_2_run_on_a_cortex_a76_alone(word: int, x1: int) -> None:
    store = words("mov w2, #7; str w2, [x0]")
    (exit_,) = run("cortex-a76", [*store, word]).exits
    assert exit_.regs["x1"] == x1
    (undefined,) = run("cortex-a57", [*store, word]).exits
    assert undefined.regs["x3"] == UNDEFINED


@pytest.mark.parametrize(
    "word",
    [0x2ED8_0E5C, 0x0E51_2C4E, 0x4E40_1400, 0x1EE2_2820],
    ids=["aborted unicorn", "aborted unicorn too", "fadd v.8h", "fadd h"],
)
@pytest.mark.parametrize("fpen", [0, 3 << 20], ids=["FP off", "FP on"])
def test_half_precision_is_told_and_crashes_nothing(word: int, fpen: int) -> None:
    trace = run("cortex-a76", [word], cpacr_el1=fpen)
    assert "FEAT_FP16" in str(trace.unmodelled)


@pytest.mark.parametrize(
    "word",
    [
        *(0xDAC1_0020, 0xD503_30FF, 0xD53B_2400, 0xD538_2101, 0xD538_1201, 0xD50B_7D20),
        *(0x1E7E_0020, 0x0450_0000, 0x1900_0001, 0xD500_401F),
    ],
    ids=[
        *("pacia", "sb", "rndr", "apiakeyhi_el1", "zcr_el1", "dc cvadp"),
        *("fjcvtzs", "sve", "stlurb", "cfinv"),
    ],
)
def test_what_a_cortex_a76_lacks_is_not_run(word: int) -> None:
    trace = run("cortex-a76", [word], cpacr_el1=3 << 20)
    told = trace.unmodelled is not None
    assert told or trace.exits[0].regs["x3"] == UNDEFINED


def test_an_unknown_cpu_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownHost, match="no host is called `cortex-a99`"):
        Emulated(cpu="cortex-a99")


def test_a_kernel_that_was_never_seen_on_a_cpu_is_not_guessed() -> None:
    with pytest.raises(Unsupported, match=r"cortex-a76: only kernels >=5\.10"):
        create("5.4+cortex-a76")


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "6.17", "7.2"])
def test_every_id_register_is_as_kvm_shows_it(kernel: str) -> None:
    for encoding, shown in SHOWN.items():
        _, op1, crn, crm, op2 = map(int, encoding.split(","))
        word = 0xD538_0001 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
        trace = run("cortex-a76", [word], kernel, x1=1)
        assert trace.exits[0].regs["x1"] == int(shown[kernel], 0), encoding


def given(machine: str, serror_esr: int | None = None) -> int:
    """ESR_EL1 of a guest that is given an SError before it runs, and unmasks it."""
    off = words("mov x0, #8; movk x0, #0x8400, lsl #16; hvc #0")
    vector = [*words("mrs x19, esr_el1"), *off]
    image = [*words("msr daifclr, #4; b ."), *[0] * (0x380 // 4 - 2), *vector]
    case = Case(
        slots=(Memslot(RAM, 0x10000),),
        loads=(Load(RAM, b"".join(word.to_bytes(4, "little") for word in image)),),
        regs=(("pc", RAM), ("vbar_el1", RAM)),
        before=(SetVcpuEvents(serror=True, serror_esr=serror_esr),),
        observe=("x19",),
    )
    made = create(machine)
    try:
        (exit_,) = run_case(made, case).exits
    finally:
        made.close()
    return exit_.regs["x19"]


@pytest.mark.parametrize("kernel", ["5.10", "6.12", "7.2"])
def test_an_serror_has_a_syndrome_on_a_cpu_with_ras_alone(kernel: str) -> None:
    assert given(kernel) == 0xBE00_0000
    assert given(f"{kernel}+cortex-a76") == 0xBF00_0000
    assert given(f"{kernel}+cortex-a76", serror_esr=0x1234) == 0xBE00_1234


def test_a_vmm_takes_the_coherency_of_instructions_back_where_the_cpu_has_it() -> None:
    shown = 0x9444_C004
    assert ctr_fits(shown & ~(1 << 28), shown, kernel("6.12").behaviour)
    assert not ctr_fits(shown | 1 << 29, shown, kernel("6.12").behaviour)
    assert not ctr_fits(shown & 0xFFF_FFFF, shown, kernel("6.12").behaviour)
    assert not ctr_fits(0x9444_C004, 0x8444_C004, kernel("6.12").behaviour)


def test_an_implementation_id_is_settled_by_the_first_run_and_has_32_bits_as_midr_el1() -> None:
    midr = sys_reg(*sysregs.MIDR_EL1)
    machine = create("7.2")
    machine.enable_cap("arm_writable_imp_id_regs")
    machine.vcpu_init(())
    with pytest.raises(KvmError) as wide:
        machine.set_one_reg(midr, 0x1_410F_D0C0)
    machine.set_one_reg(midr, 0x410F_D0C0)
    with pytest.raises(KvmError) as late:
        machine.ask_cap(EnableCap(abi.KVM_CAP_ARM_WRITABLE_IMP_ID_REGS))
    machine.kvm_run(instructions=1, seconds=1)
    with pytest.raises(KvmError) as settled:
        machine.set_one_reg(midr, 0x410F_D070)
    assert (wide.value.errno, late.value.errno, settled.value.errno) == (EINVAL, EINVAL, EBUSY)
    machine.close()

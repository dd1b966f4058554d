"""A guest is hostile code: whatever it does, a run ends and says how."""

from __future__ import annotations

import struct
from errno import EINTR

import pytest
from vcpu_scenario.case import Case, GuestDebug, Limits, Load, Memslot
from vcpu_scenario.kernels.table import UnknownKernel
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

BASE = 0x4000_0000
KERNELS = ("4.14", "4.18", "5.10", "6.0", "6.12", "7.3")


def run(
    *words: int, kernel: str = "6.12", debug: int = 0, regs: tuple[tuple[str, int], ...] = ()
) -> Trace:
    case = Case(
        slots=(Memslot(BASE, 1 << 20),),
        loads=(Load(BASE, struct.pack(f"<{len(words)}I", *words)),),
        regs=(("pc", BASE), *regs),
        debug=GuestDebug(debug) if debug else None,
        final_regs=("x8",),
        limits=Limits(exits=8, instructions=200_000, seconds=5),
    )
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def was_interrupted(trace: Trace) -> bool:
    return trace.exits[-1].errno == EINTR and trace.exits[-1].exit == "INTR"


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "words",
    [
        (0x14000000,),  # b .
        (0xD503207F, 0x17FFFFFF),  # wfi in a loop
        (0xD503205F, 0x17FFFFFF),  # wfe in a loop
        (0x00000000,),  # udf, with vectors at 0 where nothing is
        (0xD4000001,),  # svc, likewise
        (0xD2A12000, 0xD61F0000),  # a jump into a device
        (0x92800000, 0xD61F0000),  # a jump to the end of the address space
        (0xD4000002, 0x17FFFFFF),  # hypercalls for ever
    ],
    ids=["loop", "wfi", "wfe", "udf", "svc", "jump-mmio", "jump-high", "hvc"],
)
def test_a_guest_that_never_exits_is_interrupted(words: tuple[int, ...], kernel: str) -> None:
    assert was_interrupted(run(*words, kernel=kernel))


def test_a_vector_that_is_undefined_itself_is_interrupted() -> None:
    trace = run(0x00000000, *[0] * 0x200, regs=(("vbar_el1", BASE),))
    assert was_interrupted(trace)


def test_page_tables_that_point_at_themselves_do_not_hang() -> None:
    enable = (
        0xD2A80001,  # mov x1, #0x40000000
        0x91401421,  # add x1, x1, #5, lsl #12
        0xD5182001,  # msr ttbr0_el1, x1
        0xD2800302,  # mov x2, #24
        0xD5182042,  # msr tcr_el1, x2
        0xD5381003,  # mrs x3, sctlr_el1
        0xB2400063,  # orr x3, x3, #1
        0xD5181003,  # msr sctlr_el1, x3
        0xD5033FDF,  # isb
        0x14000000,  # b .
    )
    assert was_interrupted(run(*enable))


@pytest.mark.parametrize("word", [0x2ED80E5C, 0x0E512C4E, 0xFFFFFFFF, 0xD69F03E0, 0xD5033F5F])
@pytest.mark.parametrize("debug", [0, 1, 3])
def test_odd_words_end_as_exits(word: int, debug: int) -> None:
    trace = run(word, 0x14000000, debug=debug)
    assert trace.exits


def test_code_that_overwrites_itself_runs_what_it_wrote() -> None:
    trace = run(
        0x100000A0,  # adr x0, . + 20
        0x52800901,  # mov w1, #0x48
        0x72BA5001,  # movk w1, #0xd280, lsl #16: mov x8, #2
        0xB9000001,  # str w1, [x0]
        0xD5033FDF,  # isb
        0xD503201F,  # nop, until overwritten
        0x14000000,  # b .
    )
    assert was_interrupted(trace)
    assert trace.final_regs == {"x8": 2}


def test_a_kernel_that_is_not_modelled_is_refused() -> None:
    with pytest.raises(UnknownKernel, match=r"3\.10"):
        create("3.10")
    with pytest.raises(UnknownKernel):
        create("latest")

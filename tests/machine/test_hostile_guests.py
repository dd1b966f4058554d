"""A guest is hostile code: whatever it does, a run ends and says how."""

from __future__ import annotations

import struct
from errno import EINTR

import pytest
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kernels.table import UnknownKernel
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

BASE = 0x4000_0000
KERNELS = ("4.14", "4.18", "5.10", "6.0", "6.12", "7.3")


def run(
    *code: int, kernel: str = "6.12", debug: int = 0, regs: tuple[tuple[str, int], ...] = ()
) -> Trace:
    case = Case(
        slots=(Memslot(BASE, 1 << 20),),
        loads=(Load(BASE, struct.pack(f"<{len(code)}I", *code)),),
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
    "code",
    [
        words("b ."),
        words("again: wfi; b again"),
        words("again: wfe; b again"),
        words("udf #0"),  # with vectors at 0 where nothing is
        words("svc #0"),  # likewise
        words("mov x0, #0x09000000; br x0"),  # into a device
        words("mov x0, #-1; br x0"),  # to the end of the address space
        words("again: hvc #0; b again"),
    ],
    ids=["loop", "wfi", "wfe", "udf", "svc", "jump-mmio", "jump-high", "hvc"],
)
def test_a_guest_that_never_exits_is_interrupted(code: tuple[int, ...], kernel: str) -> None:
    assert was_interrupted(run(*code, kernel=kernel))


def test_a_vector_that_is_undefined_itself_is_interrupted() -> None:
    trace = run(*[0] * 0x201, regs=(("vbar_el1", BASE),))
    assert was_interrupted(trace)


def test_page_tables_that_point_at_themselves_do_not_hang() -> None:
    enable = words("""
        mov x1, #0x40000000
        add x1, x1, #5, lsl #12
        msr ttbr0_el1, x1
        mov x2, #24
        msr tcr_el1, x2
        mrs x3, sctlr_el1
        orr x3, x3, #1
        msr sctlr_el1, x3
        isb
        b .
    """)
    assert was_interrupted(run(*enable))


@pytest.mark.parametrize("word", [0x2ED80E5C, 0x0E512C4E, 0xFFFFFFFF, 0xD69F03E0, 0xD5033F5F])
@pytest.mark.parametrize("debug", [0, 1, 3])
def test_odd_words_end_as_exits(word: int, debug: int) -> None:
    trace = run(word, *words("b ."), debug=debug)
    assert trace.exits


def test_code_that_overwrites_itself_runs_what_it_wrote() -> None:
    (mov_x8_2,) = words("mov x8, #2")
    code = words("""
        adr x0, written
        str w1, [x0]
        isb
        written: nop
        b .
    """)
    trace = run(*code, regs=(("x1", mov_x8_2),))
    assert was_interrupted(trace)
    assert trace.final_regs == {"x8": 2}


def test_a_kernel_that_is_not_modelled_is_refused() -> None:
    with pytest.raises(UnknownKernel, match=r"3\.10"):
        create("3.10")
    with pytest.raises(UnknownKernel):
        create("latest")

"""The CPU's own interrupt lines, which userspace raises in a VM without a vGIC."""

from __future__ import annotations

import struct
from errno import EINTR, EINVAL, ENXIO

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Gic, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetIrqLine
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

BASE = 0x4000_0000
VECTORS = BASE + 0x800
IRQ, FIQ = 0, 1
DONE, TOOK_IRQ, TOOK_FIQ = 1, 2, 3


def run(
    *lines: SetIrqLine, wait: bool = False, step: bool = False, gic: Gic | None = None
) -> Trace:
    main = [w.daifclr(3), w.WFI if wait else w.NOP, w.brk(DONE)]
    words = [w.NOP] * 0x300
    words[: len(main)] = main
    words[(0x800 + 0x280) // 4] = w.brk(TOOK_IRQ)
    words[(0x800 + 0x300) // 4] = w.brk(TOOK_FIQ)
    control = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP * step
    case = Case(
        slots=(Memslot(BASE, 1 << 20),),
        loads=(Load(BASE, struct.pack(f"<{len(words)}I", *words)),),
        regs=(("pc", BASE), ("vbar_el1", VECTORS)),
        debug=GuestDebug(control),
        before=lines,
        gic=gic,
        skip_brk="never",
        limits=Limits(exits=4, repeats=1),
    )
    machine = create("6.12")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def stopped_at(trace: Trace) -> int:
    hsr: int = trace.exits[-1].fields["hsr"]
    return hsr & 0xFFFF


def test_a_line_that_is_raised_is_taken_once_it_is_unmasked() -> None:
    assert stopped_at(run()) == DONE
    assert stopped_at(run(SetIrqLine(IRQ, 1))) == TOOK_IRQ
    assert stopped_at(run(SetIrqLine(FIQ, 1))) == TOOK_FIQ


def test_a_line_that_is_lowered_again_is_not_taken() -> None:
    assert stopped_at(run(SetIrqLine(IRQ, 1), SetIrqLine(IRQ, 0))) == DONE
    assert stopped_at(run(SetIrqLine(IRQ, 1), SetIrqLine(FIQ, 1), SetIrqLine(IRQ, 0))) == TOOK_FIQ


def test_a_wfi_waits_for_a_line() -> None:
    assert run(wait=True).exits[-1].errno == EINTR
    assert stopped_at(run(SetIrqLine(IRQ, 1), wait=True)) == TOOK_IRQ


def test_a_step_ends_at_the_vector_of_a_line() -> None:
    steps = run(SetIrqLine(IRQ, 1), step=True)
    assert [exit_.pc for exit_ in steps.exits[:2]] == [BASE + 4, VECTORS + 0x280]


@pytest.mark.parametrize(
    ("irq", "gic", "errno"),
    [
        (2, None, EINVAL),
        (0x10000, None, EINVAL),
        (0x0100_0021, None, ENXIO),
        (0x0200_001B, None, ENXIO),
        (IRQ, Gic(3, 0x0800_0000, redist=0x080A_0000), ENXIO),
    ],
    ids=["number", "vcpu", "spi", "ppi", "with-a-vgic"],
)
def test_other_lines_are_refused(irq: int, gic: Gic | None, errno: int) -> None:
    trace = run(SetIrqLine(irq, 1), gic=gic)
    assert (trace.ended, trace.errno) == ("refused", errno)


def test_the_next_machine_starts_with_its_lines_low() -> None:
    assert stopped_at(run(SetIrqLine(IRQ, 1))) == TOOK_IRQ
    assert stopped_at(run()) == DONE


PENDING = 0x080B_0200
"""GICR_ISPENDR0."""


@pytest.mark.parametrize(
    ("ppi", "at_once", "pending"),
    [(27, True, 0), (27, False, 0), (30, False, 0), (20, True, 1 << 20), (20, False, 1 << 20)],
)
def test_the_timers_have_their_lines_from_the_first_run_on(
    ppi: int, at_once: bool, pending: int
) -> None:
    """As Debian's kernels from 5.10 to 7.2 have it: KVM_IRQ_LINE of those is taken and ignored."""
    raised = (SetIrqLine(2 << 24 | ppi, 1),)
    words = [
        w.access(w.WORD, w.STORE, 1, 10, 0),
        w.access(w.WORD, w.LOAD, 3, 11, 0),
        w.access(w.WORD, w.STORE, 3, 10, 0),
    ]
    case = Case(
        slots=(Memslot(BASE, 1 << 20),),
        loads=(Load(BASE, struct.pack("<3I", *words)),),
        regs=(("pc", BASE), ("x10", 0x0900_0000), ("x11", PENDING)),
        before=raised if at_once else (),
        on=() if at_once else ((0, raised),),
        gic=Gic(3, 0x0800_0000, 0x080A_0000),
        limits=Limits(exits=2),
        observe=("x3",),
    )
    machine = create("6.12")
    try:
        trace = run_case(machine, case)
    finally:
        machine.close()
    assert trace.exits[1].fields["data"] == pending.to_bytes(8, "little").hex()

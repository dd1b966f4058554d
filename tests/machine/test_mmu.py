"""With the guest's MMU on, KVM sees IPAs, and table walks fault at stage 2 like any access."""

from __future__ import annotations

import struct

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import binary

RAM = 0x4000_0000
UART = 0x0900_0000
LEVEL1, LEVEL2_LOW, LEVEL2_RAM, LEVEL3 = (RAM + 0x40000 + 0x1000 * n for n in range(4))
LOAD, STORE = RAM + 0x34, RAM + 0x38
TABLE, PAGE, BLOCK, ACCESSED, DEVICE = 3, 3, 1, 1 << 10, 1 << 2

# Sets TCR, MAIR and TTBR0, turns MMU and cache on; then reads VA 0x200008 and writes 0x200010,
# which are the UART's page, reads RAM and calls SYSTEM_OFF.
CODE = binary("""
    ldr x0, tcr
    msr tcr_el1, x0
    mov x0, #0x44ff
    msr mair_el1, x0
    ldr x0, ttbr
    msr ttbr0_el1, x0
    isb
    mrs x1, sctlr_el1
    mov x2, #5
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    mov x10, #0x200000
    ldr w3, [x10, #8]
    str w3, [x10, #16]
    mov x11, #0x40000000
    movk x11, #0x1000
    ldr x4, [x11]
    mov w0, #0x0008
    movk w0, #0x8400, lsl #16
    hvc #0
    udf #0
    tcr: .quad 0x200993519
    ttbr: .quad 0x40040000
""")


def entries(**at: int) -> bytes:
    page = bytearray(4096)
    for index, descriptor in at.items():
        struct.pack_into("<Q", page, 8 * int(index[1:]), descriptor)
    return bytes(page)


def run(kernel: str, *, stepping: bool) -> Trace:
    case = Case(
        slots=(Memslot(RAM, 1 << 20),),
        loads=(
            Load(RAM, CODE),
            Load(RAM + 0x1000, bytes(range(8))),
            Load(LEVEL1, entries(_0=LEVEL2_LOW | TABLE, _1=LEVEL2_RAM | TABLE)),
            Load(LEVEL2_LOW, entries(_1=LEVEL3 | TABLE)),
            Load(LEVEL2_RAM, entries(_0=RAM | BLOCK | ACCESSED)),
            Load(LEVEL3, entries(_0=UART | PAGE | ACCESSED | DEVICE)),
        ),
        regs=(("pc", RAM),),
        observe=("x3", "x4"),
        debug=GuestDebug(3) if stepping else None,
    )
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


@pytest.mark.parametrize("stepping", [False, True], ids=["free", "stepped"])
@pytest.mark.parametrize("kernel", KNOWN_RELEASES)
def test_accesses_exit_with_their_ipa_and_ram_is_read(kernel: str, stepping: bool) -> None:
    exits = run(kernel, stepping=stepping).exits
    mmio = [exit_ for exit_ in exits if exit_.exit == "MMIO"]
    assert [(exit_.fields["addr"], exit_.fields["is_write"]) for exit_ in mmio] == [
        (UART + 8, 0),
        (UART + 16, 1),
    ]
    assert exits[-1].exit == "SYSTEM_EVENT"
    last: dict[str, int] = {}
    for exit_ in exits[:-1]:
        last.update(exit_.regs)
    assert last["x3"] == 0x44332211
    assert {**last, **exits[-1].regs}["x4"] == 0x0706050403020100


def test_each_page_of_the_tables_faults_once_where_faults_show() -> None:
    """4.15 to 4.20 report a handled stage-2 fault as a step: KVM's ``handle_trap_exceptions``
    cannot tell it from an emulation."""
    faked = [
        exit_.pc
        for exit_ in run("4.18", stepping=True).exits
        if exit_.exit == "DEBUG" and exit_.fields["hsr"] == 0xC8000000
    ]
    behind_sctlr = RAM + 0x2C
    # The trapped MSR itself, then the walk of the next fetch: level 1 and the RAM's level 2.
    assert faked.count(behind_sctlr) == 3
    # The walk of the load: level 2 for low addresses and level 3; then the device's completion.
    assert faked.count(LOAD) == 2


DC_CISW = 0xD508_7E5F
CONTEXTIDR, SCTLR = (3, 0, 13, 0, 1), (3, 0, 1, 0, 0)
CACHES_ON, CACHES_OFF = 0x30D0_1805, 0x30D0_0800


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_set_way_operations_trap_the_next_write_that_concerns_the_caches(kernel: str) -> None:
    """As Debian's 6.1 and 6.12 have it. A step over an MSR tells whether KVM did it."""
    write_other = w.msr(3, CONTEXTIDR)
    steps = (
        (w.msr(4, SCTLR), True),  # turns the caches on
        (write_other, False),
        (DC_CISW, True),
        (write_other, True),  # any such register, with the caches on, ends the trapping
        (write_other, False),
        (w.msr(5, SCTLR), False),  # turns them off
        (write_other, False),
        (DC_CISW, True),
        (write_other, True),
        (write_other, True),
    )
    words = [word for word, _ in steps]
    case = Case(
        slots=(Memslot(RAM, 1 << 20),),
        loads=(
            Load(RAM, struct.pack(f"<{len(words)}I", *words)),
            Load(LEVEL1, entries(_1=RAM | BLOCK | ACCESSED)),
        ),
        regs=(
            ("pc", RAM),
            ("ttbr0_el1", LEVEL1),
            ("tcr_el1", 0x99_3519),
            ("mair_el1", 0xFF),
            ("x4", CACHES_ON),
            ("x5", CACHES_OFF),
        ),
        debug=GuestDebug(3),
        limits=Limits(exits=len(words)),
    )
    machine = create(kernel)
    try:
        exits = run_case(machine, case).exits
    finally:
        machine.close()
    by_kvm = [not exit_.fields["hsr"] & 1 << 24 for exit_ in exits]
    assert by_kvm == [trapped for _, trapped in steps]


def test_a_watchpoint_set_while_the_mmu_is_off_is_hit_when_it_is_on_again() -> None:
    """Nothing traps then that would tell. As Debian's 6.12 has it."""
    va = 0x8000_1000
    words = (
        w.msr(4, SCTLR),
        w.msr(5, SCTLR),
        w.access(w.DOUBLE, w.LOAD, 8, 7, 0),
        w.msr(4, SCTLR),
        w.access(w.DOUBLE, w.LOAD, 8, 6, 0),
        w.brk(1),
    )
    watching = GuestDebug(
        abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP | abi.KVM_GUESTDBG_USE_HW,
        watch=(Watchpoint(va, 8, "r"),),
    )
    case = Case(
        slots=(Memslot(RAM, 1 << 20),),
        loads=(
            Load(RAM, struct.pack(f"<{len(words)}I", *words)),
            Load(LEVEL1, entries(_1=RAM | BLOCK | ACCESSED, _2=RAM | BLOCK | ACCESSED)),
        ),
        regs=(
            ("pc", RAM),
            ("ttbr0_el1", LEVEL1),
            ("tcr_el1", 0x99_3519),
            ("mair_el1", 0xFF),
            ("x4", CACHES_ON),
            ("x5", CACHES_OFF),
            ("x6", va),
            ("x7", UART),
        ),
        on=((0, (SetGuestDebug(watching),)),),
        limits=Limits(exits=2),
    )
    machine = create("6.12")
    try:
        exits = run_case(machine, case).exits
    finally:
        machine.close()
    assert exits[0].exit == "MMIO"
    assert (exits[1].pc, exits[1].fields["far"]) == (RAM + 0x10, va)


MISPLACED = binary("""
    ldr x0, tcr
    msr tcr_el1, x0
    mov x0, #0x44ff
    msr mair_el1, x0
    ldr x0, ttbr
    msr ttbr0_el1, x0
    isb
    mrs x1, sctlr_el1
    orr x1, x1, #1
    msr sctlr_el1, x1
    isb
    mov x11, #0x40200000
    cbz x12, 1f
    at s1e1r, x11
    1: ldr x4, [x11]
    hvc #0
    tcr: .quad 0x200993519
    ttbr: .quad 0x40040000
""")


@pytest.mark.parametrize("by_at", [0, 1], ids=["load", "AT"])
def test_a_block_that_is_not_aligned_is_not_modelled(by_at: int) -> None:
    """Unicorn comes to 0x40003000, and a Cortex-A57 of QEMU 7.2 to 0x40000000 (Debian's 6.12)."""
    case = Case(
        slots=(Memslot(RAM, 1 << 20),),
        loads=(
            Load(RAM, MISPLACED),
            Load(LEVEL1, entries(_1=LEVEL2_RAM | TABLE)),
            Load(
                LEVEL2_RAM,
                entries(_0=RAM | BLOCK | ACCESSED, _1=(RAM + 0x3000) | BLOCK | ACCESSED),
            ),
        ),
        regs=(("pc", RAM), ("x12", by_at)),
    )
    machine = create("6.12")
    try:
        trace = run_case(machine, case)
    finally:
        machine.close()
    assert trace.ended is Ending.NOT_MODELLED
    assert trace.unmodelled is not None
    assert trace.unmodelled.what == "a block of stage 1 whose address is not aligned to its size"

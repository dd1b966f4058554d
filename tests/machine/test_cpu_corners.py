"""What Unicorn lacks of the recorded CPU. The expectations are what Debian's 6.12 gave."""

from __future__ import annotations

import struct

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetVcpuEvents
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

BASE = 0x4000_0000
VECTORS = BASE + 0x800
HANDLER = 0xA00
ODD = BASE + 0x1002
STEP = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
ESR, ELR, FAR = (3, 0, 5, 2, 0), (3, 0, 4, 0, 1), (3, 0, 6, 0, 0)
ISR, ICC_PMR = (3, 0, 12, 1, 0), (3, 0, 4, 6, 0)
BCR, WVR = (2, 0, 0, 0, 5), (2, 0, 0, 0, 6)
BR_X9 = 0xD61F_0120
EXIT = w.access(w.WORD, w.STORE, 10, 10, 0)
"""A store to where nothing is."""
TELL = (w.mrs(1, ESR), w.mrs(2, ELR), w.mrs(3, FAR), EXIT)


def guest(
    *words: int,
    handler: tuple[int, ...] = TELL,
    pc: int = BASE,
    x9: int = ODD,
    exits: int = 1,
    debug: GuestDebug | None = None,
    serror: bool = False,
) -> Case:
    return Case(
        slots=(Memslot(BASE, 1 << 16),),
        loads=(
            Load(BASE, struct.pack(f"<{len(words)}I", *words)),
            Load(BASE + HANDLER, struct.pack(f"<{len(handler)}I", *handler)),
        ),
        regs=(("pc", pc), ("vbar_el1", VECTORS), ("x9", x9), ("x10", 0x0900_0000)),
        before=(SetVcpuEvents(serror=True),) if serror else (),
        debug=debug,
        skip_brk="never",
        limits=Limits(exits=exits),
        observe=("x0", "x1", "x2", "x3"),
    )


def run(case: Case, kernel: str = "6.12") -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


# -- a pc that is no multiple of 4 ---------------------------------------------------------------

PC_ALIGNMENT = 0x8A00_0000


@pytest.mark.parametrize("target", [ODD, BASE + 0xFFFF, BASE + 1])
def test_a_branch_to_a_misaligned_address_is_a_fault_of_the_guest(target: int) -> None:
    """Also where the word there reaches beyond the slot."""
    regs = run(guest(BR_X9, x9=target)).exits[0].regs
    assert (regs["x1"], regs["x2"], regs["x3"]) == (PC_ALIGNMENT, target, target)


def test_the_page_behind_a_misaligned_address_does_not_matter_to_stage_1_either() -> None:
    """As random program 700117 on Debian's 6.12."""
    target = BASE + 0x1FFF
    regs = run(paged(guest(BR_X9, x9=target))).exits[0].regs
    assert (regs["x1"], regs["x2"]) == (PC_ALIGNMENT, target)


def test_a_store_is_decoded_where_el0_may_execute_but_not_read() -> None:
    """As random program 820072 on Debian's 5.10."""
    case = paged(guest(EXIT))
    (exit_,) = run(replace(case, regs=(*case.regs, ("pstate", 0x3C0))), "5.10").exits
    assert (exit_.exit, exit_.fields["addr"]) == ("MMIO", 0x0900_0000)


def paged(case: Case) -> Case:
    """With the MMU on: two pages that EL1 reads, writes and executes, and EL0 executes; devices for
    both."""
    tables = BASE + 0x8000
    mapped = {0: 0x741, 1: tables + 0x1000 | 3, 512: tables + 0x2000 | 3}
    mapped |= {1024 + page: BASE + page * 0x1000 | 0x703 for page in (0, 1)}
    loads = [Load(tables + 8 * at, struct.pack("<Q", entry)) for at, entry in mapped.items()]
    mmu = (("ttbr0_el1", tables), ("tcr_el1", 25), ("mair_el1", 0xFF), ("sctlr_el1", 0x30D0_0801))
    return replace(case, loads=(*case.loads, *loads), regs=(*case.regs, *mmu))


def test_each_return_to_a_misaligned_address_is_one() -> None:
    """Unicorn tells of code only while it is new to it."""
    again = (w.add_immediate(0, 0, 1), w.tbz(0, 1, 8), EXIT, w.ERET)
    assert run(guest(BR_X9, handler=again)).exits[0].regs["x0"] == 2


def test_a_misaligned_pc_from_the_vmm_is_one() -> None:
    assert run(guest(w.NOP, w.NOP, pc=BASE + 2)).exits[0].regs["x1"] == PC_ALIGNMENT


def test_a_fetch_that_stage_2_does_not_let_through_comes_before_it() -> None:
    assert run(guest(BR_X9, x9=0x1002)).exits[0].regs["x1"] == 0x8600_0010


def test_a_step_onto_a_misaligned_address_comes_before_it() -> None:
    exits = run(guest(BR_X9, debug=STEP, exits=2)).exits
    assert [exit_.pc for exit_ in exits] == [ODD, BASE + HANDLER]
    assert [exit_.fields["hsr"] for exit_ in exits] == [0xCB00_0022, 0xCA00_0022]


# -- accesses that begin in memory and end in none -----------------------------------------------


@pytest.mark.parametrize("beyond", [1, 4, 7])
def test_a_store_across_the_end_of_memory_writes_none_of_it(beyond: int) -> None:
    store = w.access_indexed(w.DOUBLE, w.STORE, w.UNSCALED, 2, 9, 0)
    end = BASE + (1 << 16)
    case = guest(w.movz(2, 0x1234), store, EXIT, x9=end - 8 + beyond, exits=2)
    trace = run(replace(case, peek=((end - 16, 16),)))
    assert [exit_.fields["addr"] for exit_ in trace.exits] == [end, 0x0900_0000]
    assert trace.exits[0].fields["data"] == "3412000000000000"
    assert trace.memory[end - 16] == bytes(16)


# -- registers -----------------------------------------------------------------------------------


def test_a_pending_serror_shows_in_isr() -> None:
    assert run(guest(w.mrs(0, ISR), EXIT, serror=True)).exits[0].regs["x0"] == 0x100
    assert run(guest(w.mrs(0, ISR), EXIT)).exits[0].regs["x0"] == 0


@pytest.mark.parametrize(("written", "read"), [(0xA6, 0x1E6), (0x146, 0x006), (0x1E7, 0x1E7)])
def test_a_breakpoint_selects_halfwords(written: int, read: int) -> None:
    case = guest(w.msr(9, BCR), w.mrs(0, BCR), EXIT, x9=written)
    assert run(case).exits[0].regs["x0"] == read


def test_a_watchpoint_watches_a_word() -> None:
    case = guest(w.msr(9, WVR), w.mrs(0, WVR), EXIT, x9=0xF000_5555_5555_5557)
    assert run(case).exits[0].regs["x0"] == 0xF000_5555_5555_5554


def test_registers_that_the_vmm_has_set_aside_keep_what_is_written() -> None:
    """Hardware breakpoints of the VMM are in their place."""
    hardware = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW)
    case = guest(w.msr(9, BCR), w.mrs(0, BCR), EXIT, x9=0xA6, debug=hardware)
    assert run(case).exits[0].regs["x0"] == 0xA6


@pytest.mark.parametrize(("kernel", "flags"), [("6.1", None), ("6.12", 8 << 28)])
def test_the_cpu_interface_of_a_vm_without_one_is_undefined_by_kvm(
    kernel: str, flags: int | None
) -> None:
    """KVM's exceptions keep the condition flags; those that the recorded CPU takes do not."""
    nzcv = (3, 3, 4, 2, 0)
    negative = 0xF100_0400 | 0 << 5 | 0  # subs x0, x0, #1
    case = guest(negative, w.msr(9, ICC_PMR), EXIT, handler=(w.mrs(1, nzcv), EXIT))
    regs = run(case, kernel).exits[0].regs
    assert regs["x1"] == (flags or 0)


def test_a_word_that_is_no_simd_instruction_does_not_trap_as_one() -> None:
    assert run(guest(0xEF11_A255)).exits[0].regs["x1"] == 0x0200_0000

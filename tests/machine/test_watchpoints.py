"""An access that hits a watchpoint has not happened; whatever came before it has."""

from __future__ import annotations

import struct
from typing import Literal

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

BASE = 0x4000_0000
RAM = Memslot(BASE, 1 << 20)
DATA = BASE + 0x1000
X1, X3 = 0x1111_1111_1111_1111, 0x3333_3333_3333_3333
WATCHING = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW


def run(
    *words: int,
    watch: Watchpoint,
    also: tuple[Watchpoint, ...] = (),
    x2: int = DATA,
    exits: int = 2,
) -> Trace:
    case = Case(
        slots=(RAM,),
        loads=(Load(BASE, struct.pack(f"<{len(words)}I", *words)),),
        regs=(("pc", BASE), ("x1", X1), ("x2", x2), ("x3", X3), ("x4", 8)),
        debug=GuestDebug(WATCHING, (), (watch, *also)),
        skip_brk="never",
        limits=Limits(exits=exits),
        peek=((DATA, 64),),
        final_regs=("x2", "x4"),
    )
    machine = create("6.12")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def quads(trace: Trace) -> list[int]:
    return list(struct.unpack("<8Q", trace.memory[DATA]))


def loop(store: int) -> tuple[int, ...]:
    again = w.cbz(4, -8, not_zero=True)
    return store, w.subtract_immediate(4, 4, 1), again, w.brk(1)


def test_earlier_rounds_of_a_loop_keep_what_they_wrote() -> None:
    store = w.access_indexed(w.DOUBLE, w.STORE, w.POST, 1, 2, 8)
    trace = run(*loop(store), watch=Watchpoint(DATA + 32, 8, "w"))
    assert [(exit_.pc, exit_.fields["far"]) for exit_ in trace.exits] == [(BASE, DATA + 32)] * 2
    assert quads(trace) == [X1] * 4 + [0] * 4
    assert trace.final_regs == {"x2": DATA + 32, "x4": 4}


def test_of_a_pair_that_hits_with_its_second_half_the_first_is_written() -> None:
    """As Debian's 6.12 has it on the recorded CPU."""
    store = w.pair(w.STORE, w.POST, 1, 3, 2, 1)  # the next pair overlaps
    trace = run(*loop(store), watch=Watchpoint(DATA + 32, 8, "w"))
    assert quads(trace) == [X1, X1, X1, X1, 0, 0, 0, 0]
    assert trace.final_regs == {"x2": DATA + 24, "x4": 5}


@pytest.mark.parametrize(
    ("access", "far"),
    [
        (w.access_indexed(w.DOUBLE, w.LOAD, w.UNSCALED, 1, 2, 3), DATA),
        (w.access_indexed(w.WORD, w.LOAD, w.UNSCALED, 1, 2, 5), DATA + 4),
        (w.access_indexed(w.WORD, w.LOAD, w.UNSCALED, 1, 2, -2), DATA),
        (w.access_indexed(w.WORD, w.STORE, w.UNSCALED, 1, 2, 5), DATA),
        (w.access_indexed(w.BYTE, w.LOAD, w.UNSCALED, 1, 2, 5), DATA + 5),
    ],
)
def test_the_address_of_a_hit_that_is_not_aligned_is_the_recorded_cpus(
    access: int, far: int
) -> None:
    """As Debian's 6.12 has it: rounded down for a load, the watchpoint's for a store."""
    trace = run(access, watch=Watchpoint(DATA, 8, "rw"), exits=1)
    assert (trace.exits[0].pc, trace.exits[0].fields["far"]) == (BASE, far)


def test_of_two_watchpoints_that_an_access_hits_the_later_is_told() -> None:
    """As Debian's 6.12 has it on the recorded CPU."""
    zero = w.DC_ZVA | 2
    first, second = Watchpoint(DATA + 48, 16, "rw"), Watchpoint(DATA + 32, 8, "rw")
    exits = run(zero, watch=first, also=(second,), exits=1).exits
    assert exits[0].fields["far"] == DATA + 32
    assert run(zero, watch=second, also=(first,), exits=1).exits[0].fields["far"] == DATA + 48


def over_the_end(kind: int, watch: Watchpoint) -> list[str]:
    """Half of the access is memory and watched, the other half lies beyond the slot."""
    access = w.access(w.DOUBLE, kind, 1, 2, 0)
    trace = run(access, w.NOP, w.brk(1), watch=watch, x2=END - 4, exits=3)
    return [f"{exit_.exit} {exit_.fields.get('hsr', 0) >> 26:#x}" for exit_ in trace.exits]


END = BASE + RAM.size
WATCHED, BRK = "DEBUG 0x34", "DEBUG 0x3c"


@pytest.mark.parametrize("kind", ["r", "rw"])
def test_a_load_that_leaves_memory_hits_before_it_faults(kind: Literal["r", "rw"]) -> None:
    """As Debian's 6.12 has it on the recorded CPU."""
    assert over_the_end(w.LOAD, Watchpoint(END - 8, 8, kind)) == [WATCHED] * 3


@pytest.mark.parametrize("kind", ["w", "rw"])
def test_a_store_that_leaves_memory_faults_before_it_hits(kind: Literal["w", "rw"]) -> None:
    """As Debian's 6.12 has it on the recorded CPU."""
    assert over_the_end(w.STORE, Watchpoint(END - 8, 8, kind)) == ["MMIO 0x0", BRK, BRK]


def test_a_hit_that_came_to_nothing_does_not_reach_the_next_machine() -> None:
    store = w.access(w.DOUBLE, w.STORE, 1, 2, 0)
    run(store, watch=Watchpoint(END - 8, 8, "w"), x2=END - 4, exits=1)
    trace = run(w.b(0), watch=Watchpoint(DATA, 8, "r"), exits=2)
    assert [exit_.exit for exit_ in trace.exits] == ["INTR"]


# -- with stage 1 on -----------------------------------------------------------------------------

OTHER = Memslot(0x2000_0000, 1 << 16)
TABLE = BASE + RAM.size - 0x1000
BLOCK = 0x701
"""A block of a gigabyte: normal memory, writable at EL1."""


MMU_ON = 0x30D0_0801
SCTLR = (3, 0, 1, 0, 0)


def mapped(*words: int, watch: Watchpoint, x2: int, sctlr: int = MMU_ON) -> Trace:
    """With gigabytes mapped to themselves, and the memory once more one gigabyte further up."""
    table = [0 | BLOCK, 0x4000_0000 | BLOCK, 0x4000_0000 | BLOCK]
    case = Case(
        slots=(RAM, OTHER),
        loads=(
            Load(BASE, struct.pack(f"<{len(words)}I", *words)),
            Load(TABLE, struct.pack("<3Q", *table)),
            Load(OTHER.base, struct.pack("<Q", X3)),
            Load(DATA, struct.pack("<Q", X1)),
        ),
        regs=(
            ("pc", BASE),
            ("x2", x2),
            ("ttbr0_el1", TABLE),
            ("tcr_el1", 25 | 2 << 32),
            ("mair_el1", 0xFF),
            ("sctlr_el1", sctlr),
        ),
        debug=GuestDebug(WATCHING, (), (watch,)),
        skip_brk="never",
        limits=Limits(exits=1),
        final_regs=("x0",),
    )
    machine = create("6.12")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


LOAD_X0 = w.access(w.DOUBLE, w.LOAD, 0, 2, 0)


def test_an_access_that_is_looked_at_gets_its_own_data() -> None:
    """Code and data fall on the same place in a TLB; looking at the code must not spoil it."""
    trace = mapped(LOAD_X0, w.brk(1), watch=Watchpoint(OTHER.base + 64, 8, "rw"), x2=OTHER.base)
    assert trace.exits[0].fields["hsr"] == 0xF2000001
    assert trace.final_regs["x0"] == X3


@pytest.mark.parametrize("at", [DATA, DATA + (1 << 30)])
def test_a_watchpoint_is_one_on_a_virtual_address(at: int) -> None:
    hit = mapped(LOAD_X0, w.brk(1), watch=Watchpoint(at, 8, "r"), x2=at)
    assert (hit.exits[0].pc, hit.exits[0].fields["far"]) == (BASE, at)
    assert hit.final_regs["x0"] == 0
    other = DATA + (1 << 30) if at == DATA else DATA
    missed = mapped(LOAD_X0, w.brk(1), watch=Watchpoint(at, 8, "r"), x2=other)
    assert missed.exits[0].fields["hsr"] == 0xF2000001
    assert missed.final_regs["x0"] == X1


def test_a_watchpoint_stays_on_its_virtual_address_when_stage_1_is_turned_on() -> None:
    turn_on = (*w.mov(1, MMU_ON), w.msr(1, SCTLR), w.ISB)
    at = DATA + (1 << 30)
    off = MMU_ON & ~1
    hit = mapped(*turn_on, LOAD_X0, w.brk(1), watch=Watchpoint(at, 8, "r"), x2=at, sctlr=off)
    assert hit.exits[0].fields["far"] == at
    missed = mapped(*turn_on, LOAD_X0, w.brk(1), watch=Watchpoint(DATA, 8, "r"), x2=at, sctlr=off)
    assert missed.exits[0].fields["hsr"] == 0xF2000001

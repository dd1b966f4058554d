"""An LDAR or STLR whose address is formed right before it: it faults as it does when stepped.

A block of one instruction has nothing to foresee, so that a run of single steps says what is right.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu import ordered
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

BASE, DATA, VECTORS = 0x4000_0000, 0x4000_8000, 0x4000_4000
RAM = Memslot(BASE, 1 << 16)
BRK = 0xD420_0000
LDAR_X, LDAR_W, STLRH = 0xC8DF_FC1F, 0x88DF_FC1F, 0x489F_FC1F
"""Of the address in x0, before bits 9:5 say another."""


def r(dice: random.Random, low: int = 1) -> int:
    return dice.randint(low, 8)


def three(word: int) -> Callable[[random.Random], int]:
    return lambda d: word | r(d) << 16 | r(d) << 5 | r(d)


def shifted(word: int) -> Callable[[random.Random], int]:
    return lambda d: three(word)(d) | d.randint(0, 2) << 22 | d.randint(0, 31) << 10


def loading(word: int, bits: int) -> Callable[[random.Random], int]:
    """From x0 on, a little."""
    return lambda d: word | d.getrandbits(3) << bits | r(d)


MASKS = [0x000, 0x0C1, 0x03C, 0x1B9, 0x7DC, 0x4E5, 0x0F0 >> 1]
"""N, immr and imms, of 32 bits, that mean something."""
FORMS: list[Callable[[random.Random], int]] = [
    *(
        lambda d, op=op: op | d.getrandbits(13) << 10 | r(d) << 5 | r(d)
        for op in (0x9100_0000, 0xD100_0000, 0x1100_0000, 0x5100_0000, 0xB100_0000)
    ),
    *map(shifted, (0x8B00_0000, 0xCB00_0000, 0x0B00_0000, 0x8A00_0000, 0xAA20_0000, 0xCA00_0000)),
    *map(shifted, (0x2A00_0000, 0xEA00_0000)),
    lambda d: three(0x8B20_0000)(d) | d.getrandbits(3) << 13 | d.randint(0, 4) << 10,
    lambda d: three(0xCB20_0000)(d) | d.getrandbits(3) << 13 | d.randint(0, 4) << 10,
    *(
        lambda d, op=op: op | d.getrandbits(6) << 16 | d.getrandbits(6) << 10 | r(d) << 5 | r(d)
        for op in (0xD340_0000, 0x9340_0000)
    ),
    lambda d: 0x5300_0000 | d.getrandbits(5) << 16 | d.getrandbits(5) << 10 | r(d) << 5 | r(d),
    *(
        lambda d, op=op: op | d.getrandbits(18) << 5 | r(d)
        for op in (0xD280_0000, 0x9280_0000, 0xF280_0000, 0x1280_0000, 0x1000_0000, 0x9000_0000)
    ),
    *(
        lambda d, op=op: op | d.choice(MASKS) << 10 | r(d) << 5 | r(d)
        for op in (0x9200_0000, 0xB200_0000, 0xD200_0000, 0x1200_0000, 0x3200_0000)
    ),
    lambda d: three(0x9B00_0000)(d) | r(d) << 10,
    lambda d: three(0x9BA0_8000)(d) | r(d) << 10,
    *(loading(op, 10) for op in (0xF940_0000, 0xB940_0000, 0xB980_0000, 0x3940_0000)),
    *(loading(op, 10) for op in (0x3980_0000, 0x39C0_0000, 0x7980_0000, 0xF900_0000, 0x3900_0000)),
    *(loading(op, 12) for op in (0xF840_0000, 0xF800_0000, 0x3840_0400, 0x3840_0C00)),
    *(lambda d, op=op: loading(op, 15)(d) | r(d) << 10 for op in (0xA940_0000, 0xA900_0000)),
    lambda d: 0x6940_0000 | d.getrandbits(3) << 15 | 7 << 10 | r(d) % 7 + 1,
    lambda d: (
        0xA9BF_0000 | d.randint(0, 1) << 15 | r(d) << 10 | r(d) % 8 + 1
    ),  # stp ..., [x0, ...]!
    lambda d: 0xA8C1_0000 | 7 << 10 | r(d) % 6 + 1,  # ldp ..., [x0], #16
    lambda d: 0xD503_201F,  # nop
    lambda d: 0xD538_4100 | r(d),  # mrs sp_el0
    lambda d: three(0x9A80_0000)(d),  # csel
    lambda d: 0xDAC0_0000 | r(d) << 5 | r(d),  # rbit
    lambda d: 0xF820_0000 | r(d) << 16 | r(d),  # ldadd, which a Cortex-A57 has not
]


def program(seed: int) -> list[int]:
    dice = random.Random(seed)
    words = [dice.choice(FORMS)(dice) for _ in range(dice.randint(0, 8))]
    if dice.random() < 0.7:  # the last one but makes the address a likely one
        words.append(0x927D_F000 | dice.randint(1, 8) << 5 | 1)  # and x1, xn, #~7
        words.append(0x9100_0421 if dice.random() < 0.5 else 0x9100_2021)  # add x1, x1, #1 or #8
    base = 1 if dice.random() < 0.7 else dice.choice([*range(9), 31])
    return [*words, dice.choice((LDAR_X, LDAR_W, STLRH)) | base << 5, BRK]


def case(words: list[int], seed: int, *, stepped: bool) -> Case:
    dice = random.Random(seed)
    vectors = [BRK | (n // 0x20) << 5 for n in range(0x200)]
    return Case(
        slots=(RAM,),
        loads=(
            Load(BASE, struct.pack(f"<{len(words)}I", *words)),
            Load(VECTORS, struct.pack(f"<{len(vectors)}I", *vectors)),
            Load(DATA, dice.randbytes(256)),
        ),
        regs=(
            *(("pc", BASE), ("x0", DATA), ("vbar_el1", VECTORS), ("sp_el0", DATA + 3)),
            *((f"x{n}", DATA + dice.getrandbits(7)) for n in range(1, 9)),
        ),
        debug=GuestDebug(
            abi.KVM_GUESTDBG_ENABLE
            | abi.KVM_GUESTDBG_USE_SW_BP
            | (abi.KVM_GUESTDBG_SINGLESTEP if stepped else 0)
        ),
        limits=Limits(exits=len(words) + 2, instructions=100_000, seconds=60),
        observe=("esr_el1", "far_el1", "elr_el1"),
    )


def first_end(words: list[int], seed: int, *, stepped: bool) -> tuple[object, ...]:
    """The first exit that is no step, with the registers as they are then."""
    machine = create("6.12")
    trace = run_case(machine, case(words, seed, stepped=stepped))
    machine.close()
    regs: dict[str, int] = {}
    for exit_ in trace.exits:
        regs |= exit_.regs
        if exit_.exit != "DEBUG" or exit_.fields["hsr"] >> 26 != 0x32:
            return exit_.exit, exit_.pc, exit_.fields, regs
    return trace.ended, trace.unmodelled, regs


@pytest.mark.parametrize("seed", range(0, 400, 25))
def test_a_free_run_faults_where_a_stepped_one_does(seed: int) -> None:
    for one in range(seed, seed + 25):
        words = program(one)
        free, stepped = (first_end(words, one, stepped=stepped) for stepped in (False, True))
        assert free == stepped, f"seed {one}"


def test_it_faults_after_a_thousand_places_that_were_aligned() -> None:
    hops = [0xC8DF_FC01, 0x1400_0001] * 1000  # ldar x1, [x0]; b .+4
    words = [*hops, 0x9100_0400, 0xC8DF_FC01, BRK]  # add x0, x0, #1
    assert first_end(words, 0, stepped=False)[1] == VECTORS + 0x200


def test_it_faults_in_a_loop_that_was_run_before() -> None:
    # x2 goes down from 50; where it is 0 the address is one off.
    words = [0xD280_0642, 0xF100_0442, 0x9A9F_17E3, 0x8B03_0004, 0xC8DF_FC81, 0xB5FF_FF82, BRK]
    # subs x2, x2, #1; cset x3, eq; add x4, x0, x3; ldar x1, [x4]; cbnz x2, .-16
    assert first_end(words, 0, stepped=False)[:2] == ("DEBUG", VECTORS + 0x200)


UNFORESEEN = {
    True: words(
        """\
        mov x2, #50; subs x2, x2, #1; cset x3, eq; add x6, x0, x3; mov x7, #1; sdiv x4, x6, x7
        ldar x1, [x4]; cbnz x2, . - 24; brk #0"""
    ),
    False: words(
        """\
        mov x2, #50; subs x2, x2, #1; cset x3, eq; add x6, x0, x3, lsl #3; mov x7, #1
        sdiv x4, x6, x7; ldar x1, [x4]; cbnz x2, . - 24; brk #0"""
    ),
}
"""Whose address no block's beginning tells; it is one off in the last round, or it never is."""


def test_an_address_that_cannot_be_foreseen_is_looked_at_each_time() -> None:
    assert first_end([*UNFORESEEN[True]], 0, stepped=False)[:2] == ("DEBUG", VECTORS + 0x200)


@pytest.mark.parametrize(("most", "left"), [(4096, 0), (10, 1)])
def test_no_instruction_stays_hooked_that_ran(
    monkeypatch: pytest.MonkeyPatch, most: int, left: int
) -> None:
    """A hook slows down all that the guest runs; but to translate anew takes time as well."""
    monkeypatch.setattr(ordered, "_MOST_HOOKED", most)
    machine = create("6.12")
    run_case(machine, case([*UNFORESEEN[False]], 0, stepped=False))
    watched = machine._cpu._word_hooks.ordered
    assert sum(watched._passing.values()) == min(50, most + 1)
    assert len(watched._instructions) == left
    machine.close()


def test_many_places_are_watched_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "_MOST_BLOCKS", 50)
    hops = [0xC8DF_FC01, 0x1400_0001] * 120
    machine = create("6.12")
    watched = machine._cpu._word_hooks.ordered
    run_case(machine, case([*hops, BRK], 0, stepped=False))
    assert len(watched._blocks) <= 50
    machine.close()


def test_a_block_that_doubles_a_register_hundreds_of_times_is_given_up() -> None:
    words = [*[0x8B01_0021] * 500, LDAR_X | 1 << 5, BRK]  # add x1, x1, x1
    assert first_end(words, 0, stepped=False) == first_end(words, 0, stepped=True)

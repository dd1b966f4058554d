"""What each VMM tells its debugger of one and the same run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vcpu_scenario.case import Case, GuestDebug, SetGuestDebug, Watchpoint, WriteMemory
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit, Trace
from vcpu_scenario.vmm.personality import PERSONALITIES, stops_of

from tests.entries import entered
from tests.verdict.build import BRK_7, CASE, PENDING, STEPPING, SYMBOLS, failed, has_read, stepped

RUN = Trace(
    (
        stepped("poll", x1=0),
        has_read("poll"),
        stepped("next", PENDING, x1=0x90),
        stepped("done"),
        stepped("done", BRK_7),
    )
)
NAMES = {addr: name for name, addr in SYMBOLS.items()}


def told(personality: str, case: Case = CASE, trace: Trace = RUN) -> list[tuple[str, str]]:
    stops = stops_of(personality, entered(case, trace))
    return [(NAMES[stop.pc], stop.reason) for stop in stops]


def test_debug_exits_are_stops_but_for_what_qemu_gives_to_the_guest() -> None:
    steps = [("poll", "step"), ("next", "step"), ("done", "step")]
    assert told("plain") == [*steps, ("done", "brk")]
    assert told("qemu") == steps


BREAKPOINT = (0xD420_0000).to_bytes(4, "little")
OTHER_BRK = (0xD420_00E0).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ([], False),
        ([(0, BREAKPOINT)], True),
        ([(-4, OTHER_BRK + BREAKPOINT)], True),
        ([(-3, bytes(3) + BREAKPOINT)], True),
        ([(0, OTHER_BRK)], False),
        ([(4, BREAKPOINT)], False),
        ([(0, BREAKPOINT), (0, OTHER_BRK)], False),
        ([(0, BREAKPOINT), (4, OTHER_BRK)], True),
    ],
)
def test_a_brk_is_the_debuggers_where_the_vmm_wrote_it(
    written: list[tuple[int, bytes]], known: bool
) -> None:
    done = SYMBOLS["done"]
    case = replace(CASE, before=tuple(WriteMemory(done + at, data) for at, data in written))
    trace = Trace((stepped("done", BRK_7 & ~0xFFFF),))
    assert told("qemu", case, trace) == ([("done", "brk")] if known else [])


def test_a_breakpoint_counts_from_the_entry_after_it_was_written() -> None:
    set_at_1 = ((1, (WriteMemory(SYMBOLS["done"], BREAKPOINT),)),)
    trace = Trace((stepped("poll"), stepped("done", BRK_7), stepped("done", BRK_7)))
    assert told("qemu", replace(CASE, on=set_at_1), trace) == [("poll", "step"), ("done", "brk")]


def test_qemu_knows_a_hardware_breakpoint_by_its_address() -> None:
    exit_ = Exit("DEBUG", 0, 0, SYMBOLS["done"], {"hsr": 0xC2000022, "far": 0}, {})
    for at, known in ((SYMBOLS["done"], True), (SYMBOLS["next"], False)):
        case = replace(CASE, debug=GuestDebug(abi.KVM_GUESTDBG_ENABLE, hw_bp=(at,)))
        assert bool(told("qemu", case, Trace((exit_,)))) == known


@pytest.mark.parametrize(
    ("length", "far", "known"),
    [
        (8, 0x5000, True),
        (8, 0x5004, False),
        (8, 0, False),
        (3, 0x5001, False),
        (16, 0x4FFF, False),
        (16, 0x500F, True),
        (16, 0x5010, True),
        (16, 0x5011, False),
        (0x10000, 0x5000, False),  # the mask of 16 has no room in QEMU's four bits
    ],
)
def test_qemu_knows_a_watchpoint_by_its_first_byte_unless_it_has_a_mask(
    length: int, far: int, known: bool
) -> None:
    watch = GuestDebug(abi.KVM_GUESTDBG_ENABLE, watch=(Watchpoint(0x5000, length, "w"),))
    case = replace(CASE, debug=watch)
    exit_ = Exit("DEBUG", 0, 0, SYMBOLS["done"], {"hsr": 0xD2000062, "far": far}, {})
    assert told("plain", case, Trace((exit_,))) == [("done", "watchpoint")]
    assert told("qemu", case, Trace((exit_,))) == ([("done", "watchpoint")] if known else [])


def test_the_patch_of_2017_stops_after_an_access_too_and_shows_the_old_register() -> None:
    stops = stops_of("qemu-2017", entered(CASE, RUN))
    assert [(NAMES[stop.pc], stop.exit) for stop in stops] == [
        ("poll", 0),
        ("poll", 1),
        ("next", 2),
        ("done", 3),
    ]
    assert [stop.regs["x1"] for stop in stops] == [0, 0, 0x90, 0x90]


def test_the_patch_of_2017_stops_after_an_access_only_while_stepping() -> None:
    running = replace(CASE, debug=None)
    assert told("qemu-2017", running, Trace((has_read("poll"),))) == []


def test_qemu_keeps_a_step_that_nobody_asked_for_to_itself() -> None:
    breakpoints = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP)
    case = replace(CASE, on=((0, (SetGuestDebug(breakpoints),)), (2, (SetGuestDebug(STEPPING),))))
    assert told("qemu", case) == [("poll", "step"), ("done", "step")]
    assert ("next", "step") in told("plain", case)


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_run_that_failed_is_no_stop(personality: str) -> None:
    assert told(personality, CASE, Trace((failed(4, "poll"),))) == []


@pytest.mark.parametrize(
    ("hsr", "reason"),
    [
        (0xC2000022, "hardware_breakpoint"),
        (0xD2000062, "watchpoint"),
        (0xE2000001, "brk"),
        (0xF2000001, "brk"),
        (0xC8000000, "step"),
    ],
)
def test_the_reason_is_that_of_the_syndrome(hsr: int, reason: str) -> None:
    exit_ = Exit("DEBUG", 0, 0, SYMBOLS["done"], {"hsr": hsr, "far": 0}, {})
    assert told("plain", CASE, Trace((exit_,))) == [("done", reason)]

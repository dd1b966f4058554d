"""What each VMM tells its debugger of one and the same run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vcpu_scenario.case import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit, Trace
from vcpu_scenario.vmm.personality import PERSONALITIES, stops_of

from .build import BRK_7, CASE, PENDING, STEPPING, SYMBOLS, failed, has_read, stepped

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


def told(personality: str, case: object = CASE, trace: Trace = RUN) -> list[tuple[str, str]]:
    stops = stops_of(personality, case, trace)  # type: ignore[arg-type]
    return [(NAMES[stop.pc], stop.reason) for stop in stops]


def test_debug_exits_are_stops_but_for_what_qemu_gives_to_the_guest() -> None:
    steps = [("poll", "step"), ("next", "step"), ("done", "step")]
    assert told("plain") == [*steps, ("done", "brk")]
    assert told("qemu") == steps


def test_a_brk_is_the_debuggers_where_qemu_could_have_written_it() -> None:
    trace = Trace((stepped("done", BRK_7 & ~0xFFFF),))
    assert told("qemu", CASE, trace) == [("done", "brk")]


@pytest.mark.parametrize(("far", "known"), [(0x5000, True), (0x5004, False), (0, False)])
def test_qemu_knows_a_watchpoint_by_its_first_byte(far: int, known: bool) -> None:
    watch = GuestDebug(abi.KVM_GUESTDBG_ENABLE, watch=(Watchpoint(0x5000, 8, "w"),))
    case = replace(CASE, debug=watch)
    exit_ = Exit("DEBUG", 0, 0, SYMBOLS["done"], {"hsr": 0xD2000062, "far": far}, {})
    assert told("plain", case, Trace((exit_,))) == [("done", "watchpoint")]
    assert told("qemu", case, Trace((exit_,))) == ([("done", "watchpoint")] if known else [])


def test_the_patch_of_2017_stops_after_an_access_too_and_shows_the_old_register() -> None:
    stops = stops_of("qemu-2017", CASE, RUN)
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

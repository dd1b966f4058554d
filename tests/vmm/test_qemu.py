"""What QEMU's personalities do to the machine, and what the trace keeps of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import (
    Action,
    Case,
    Device,
    HostInterrupt,
    ImmediateExit,
    Limits,
    Load,
    Memslot,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.causes import first_change
from vcpu_scenario.trace import Exit, Trace
from vcpu_scenario.verdict.traces import compare_traces
from vcpu_scenario.vmm.loop import run_case

from tests.guests import binary

AT = 0x4000_0000
LOAD, NEXT, END = AT + 4, AT + 8, AT + 12
CODE = binary("""
    mov x0, #0x09000000
    ldr w1, [x0]
    add x2, x2, #1
    again: nop
    b again
""")
STEPPING = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
CASE = Case(
    slots=(Memslot(AT, 0x10000),),
    loads=(Load(AT, CODE),),
    regs=(("pc", AT),),
    devices=(Device("dev", 0x0900_0000, 0x1000, registers=((0, 0x90),)),),
    debug=STEPPING,
    observe=("x1", "x2"),
    limits=Limits(exits=4),
    vmm="qemu-2017",
)
BRK_0, BRK_7 = 0xD420_0000, 0xD420_00E0


def run(case: Case, kernel: str = "6.12") -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def pcs(case: Case, kernel: str = "6.12") -> list[int]:
    return [stop.pc for stop in run(case, kernel).stops]


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        ("4.14", [LOAD, NEXT, END, AT + 16]),
        ("4.18", [AT, LOAD, NEXT, NEXT]),
        ("5.0", [LOAD, LOAD, AT + 16]),
        ("5.10", [LOAD, LOAD, END]),
        ("5.12", [LOAD, LOAD, NEXT, END]),
        ("5.13", [LOAD, LOAD, END]),
        ("6.12", [LOAD, LOAD, END]),
        ("6.14", [LOAD, LOAD, NEXT, END]),
        ("7.2", [LOAD, LOAD, NEXT, END]),
    ],
)
def test_what_the_patch_of_2017_makes_of_a_step_over_a_load(kernel: str, told: list[int]) -> None:
    assert pcs(CASE, kernel)[: len(told)] == told


def test_a_kick_after_each_stop_completes_the_access_and_is_no_exit() -> None:
    trace = run(CASE)
    assert [exit_.exit for exit_ in trace.exits] == ["DEBUG", "MMIO", "DEBUG", "DEBUG"]
    assert trace.kicks == ((0, AT), (1, LOAD), (2, NEXT), (3, END))


def test_what_is_not_told_is_not_followed_by_a_kick() -> None:
    trace = run(replace(CASE, vmm="qemu"))
    assert [entry for entry, _ in trace.kicks] == [0, 1, 3]
    assert run(replace(CASE, vmm="plain")).kicks == ()


@pytest.mark.parametrize("action", [ImmediateExit(), HostInterrupt()])
def test_what_is_for_the_next_run_is_not_lost_in_a_kick(action: Action) -> None:
    case = replace(CASE, vmm="qemu", on=((0, (action,)),), limits=Limits(exits=3))
    plain = replace(case, vmm="plain")
    for kernel in ("5.11", "6.12"):
        assert run(case, kernel).exits == run(plain, kernel).exits


def test_the_last_exit_of_a_run_is_not_followed_by_a_kick() -> None:
    trace = run(replace(CASE, limits=Limits(exits=2), final_regs=("x1", "pc")))
    assert trace.final_regs == {"x1": 0, "pc": LOAD}
    assert trace.kicks[-1][0] == 1


def given(word: int, pstate: int, **more: Any) -> Exit:
    """The first exit after the guest was given what ``word`` made."""
    code = word.to_bytes(4, "little") + binary("nop")
    vectors = b"".join(
        (0xD2800009 | (number + 1) << 5).to_bytes(4, "little") + bytes(0x7C) for number in range(16)
    )  # mov x9, #(number + 1)
    case = replace(
        CASE,
        vmm="qemu",
        loads=(Load(AT, code), Load(AT + 0x800, vectors)),
        regs=(("vbar_el1", AT + 0x800), ("pstate", pstate), ("pc", AT)),
        observe=("x9", "esr_el1", "elr_el1", "spsr_el1", "pstate"),
        limits=Limits(exits=2),
        **more,
    )
    return run(case).exits[1]


@pytest.mark.parametrize(
    ("pstate", "vector"), [(0x3C5, 4), (0x6000_03C4, 0), (0x3C0, 8), (0x2000_0005, 4)]
)
def test_a_brk_of_the_guests_own_becomes_its_exception(pstate: int, vector: int) -> None:
    exit_ = given(BRK_7, pstate)
    assert exit_.pc == AT + 0x800 + 0x80 * vector + 4  # a step goes behind the vector's first
    assert exit_.regs["x9"] == vector + 1
    assert exit_.regs["esr_el1"] == 0xF200_0007
    assert exit_.regs["elr_el1"] == AT
    assert exit_.regs["spsr_el1"] == pstate


def test_an_access_without_a_syndrome_becomes_an_external_abort() -> None:
    exit_ = given(0xA940_0001, 0x3C5, caps=("arm_nisv_to_user",))  # ldp x1, x0, [x0]
    assert exit_.pc == AT + 0x800 + 0x80 * 4
    assert (exit_.regs["elr_el1"], exit_.regs["esr_el1"]) == (AT, 0x9600_0010)


def test_a_breakpoint_that_the_vmm_wrote_is_told_and_not_given() -> None:
    write = WriteMemory(NEXT, BRK_0.to_bytes(4, "little"))
    debug = SetGuestDebug(GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP))
    case = replace(CASE, vmm="qemu", before=(write, debug), limits=Limits(exits=2))
    assert [stop.reason for stop in run(case).stops] == ["brk"]


def test_single_step_is_off_while_the_debugger_acts() -> None:
    asked: list[int] = []
    machine = create("6.12")
    before = machine.set_guest_debug

    def note(debug: abi.kvm_guest_debug) -> None:
        asked.append(debug.control)
        before(debug)

    machine.set_guest_debug = note  # type: ignore[method-assign]
    run_case(machine, replace(CASE, vmm="qemu", limits=Limits(exits=2)))
    machine.close()
    assert asked == [STEPPING.control, 0, STEPPING.control]


def test_a_kick_in_which_two_runs_part_is_told() -> None:
    trace = run(CASE)
    entries = tuple(
        replace(entry, pc=LOAD) if entry.exit == 2 else entry for entry in trace.entries
    )
    other = replace(trace, entries=entries)
    (difference,) = compare_traces(trace, other).differences
    assert difference.words() == f"kick 2: {NEXT:#x}, not {LOAD:#x}"
    assert first_change(trace, other) == 2
    assert first_change(trace, trace) is None

"""Snapshots of vCPUs: what a run goes on with in a new VM, and in the same one."""

from __future__ import annotations

from errno import EBUSY, EINVAL

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import (
    Action,
    Case,
    Gic,
    Memslot,
    RunVcpu,
    SetRegister,
    SkipInstruction,
    WriteMemory,
)
from vcpu_scenario.ioctls.memory import GetDirtyLog, SetMemoryRegion
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, SetMpState
from vcpu_scenario.ioctls.vm import Into, RestoreSnapshot, TakeSnapshot
from vcpu_scenario.kvm import abi
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.session import Session

from tests.guests import words

BASE, SECOND = 0x4000_0000, 0x5000_0000
BREAKS = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP)
STOPS = words("mov x1, #1; brk #0; add x1, x1, #1; brk #0; add x1, x1, #1; brk #0")
BOTH = pytest.mark.parametrize("into", ["new_vm", "same_vm"])
TAKE = TakeSnapshot("a")


def guest(*on: tuple[Action, ...], program: tuple[int, ...] = STOPS, **more: object) -> Case:
    code = b"".join(word.to_bytes(4, "little") for word in program)
    given: dict[str, object] = {
        "slots": (Memslot(BASE, 0x1_0000),),
        "regs": (("pc", BASE),),
        "debug": BREAKS,
        "before": (WriteMemory(BASE, code),),
        "on": tuple(enumerate(on)),
        "observe": ("x1",),
        "skip_brk": "always",
    }
    return Case(**(given | more))  # type: ignore[arg-type]


def told(case: Case, kernel: str = "6.12") -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def restored(into: Into, *refused: tuple[str, int]) -> tuple[Action, ...]:
    return RestoreSnapshot("a", into, refused), SetGuestDebug(BREAKS)


def x1(trace: Trace) -> list[int]:
    values, last = [], 0
    for exit_ in trace.exits:
        last = exit_.regs.get("x1", last)
        values.append(last)
    return values


@BOTH
def test_a_run_goes_on_from_where_the_snapshot_was_taken(into: Into) -> None:
    trace = told(guest((TAKE,), restored(into)))
    assert x1(trace)[:4] == [1, 2, 2, 3]


@BOTH
def test_a_snapshot_is_restored_as_often_as_one_likes(into: Into) -> None:
    trace = told(guest((TAKE,), restored(into), restored(into), restored(into)))
    assert x1(trace)[:5] == [1, 2, 2, 2, 2]


@BOTH
def test_memory_is_that_of_the_snapshot(into: Into) -> None:
    late = (WriteMemory(BASE + 0x100, b"late"), *restored(into))
    early = (WriteMemory(BASE + 0x100, b"soon"), TAKE)
    trace = told(guest(early, late, peek=((BASE + 0x100, 4),)))
    assert trace.memory == {BASE + 0x100: b"soon"}


def test_a_new_vm_has_the_slots_that_there_were_and_logs_what_was_logged() -> None:
    slot = SetMemoryRegion(1, SECOND, 0x1000, log_dirty=True)
    made = (slot, WriteMemory(SECOND, b"kept"), TAKE)
    trace = told(
        guest(made, (*restored("new_vm"), GetDirtyLog(1, ())), peek=((SECOND, 4),)),
    )
    assert trace.refused == ""
    assert trace.memory == {SECOND: b"kept"}


def test_a_new_vm_is_not_debugged_until_the_vmm_asks_for_it() -> None:
    case = guest((TAKE, RestoreSnapshot("a")), program=words("mov x1, #1; brk #0; b ."))
    limits = replace(case.limits, instructions=20_000, exits=3)
    assert [exit_.exit for exit_ in told(replace(case, limits=limits)).exits] == ["DEBUG", "INTR"]


def test_what_was_done_is_in_the_trace() -> None:
    trace = told(guest((TAKE,), restored("new_vm")))
    assert TAKE in trace.entries[1].did
    assert RestoreSnapshot("a") in trace.entries[2].did


def test_all_vcpus_are_kept() -> None:
    begin = (RunVcpu(1), SetRegister("x1", 16), TAKE, SetRegister("x1", 32), RunVcpu(0))
    back = (RestoreSnapshot("a", "same_vm"), RunVcpu(1), SetMpState(0), SetGuestDebug(BREAKS))
    there = (SetRegister("pc", BASE + 8),)
    trace = told(guest((*begin, SetRegister("x1", 5)), (*back, *there), vcpus=2))
    assert [(exit_.fields["vcpu"], exit_.regs["x1"]) for exit_ in trace.exits[:3]] == [
        (0, 1),
        (0, 6),
        (1, 17),
    ]


def test_a_register_that_kvm_refuses_ends_the_run_unless_it_is_expected() -> None:
    gic = Gic(3, 0x0800_0000, redist=0x080A_0000)
    before = (*guest().before, TAKE, SetRegister("id_aa64isar0_el1", 0x1120))
    unaware = told(guest(restored("same_vm"), before=before, gic=gic))
    assert unaware.ended is Ending.REFUSED
    assert "(id_aa64isar0_el1) = 0x11120: EBUSY" in unaware.refused
    aware = restored("same_vm", ("id_aa64isar0_el1", EBUSY))
    assert told(guest(aware, before=before, gic=gic)).refused == ""


@pytest.mark.parametrize(
    ("refused", "words_"),
    [
        (("tpidr_el1", EINVAL), "= 0x0 succeeded, expected EINVAL"),
        (("oslar_el1", EINVAL), "has no register"),
    ],
)
def test_a_refusal_that_does_not_come_is_told(refused: tuple[str, int], words_: str) -> None:
    before = (*guest().before, SetRegister("tpidr_el1", 0))
    trace = told(guest((TAKE, *restored("new_vm", refused)), before=before))
    assert trace.ended is Ending.NOT_REFUSED
    assert words_ in trace.refused


def test_a_snapshot_that_was_not_taken_cannot_be_restored() -> None:
    trace = told(guest((RestoreSnapshot("a"),), (TAKE,)))
    assert (trace.ended, trace.refused) == (
        Ending.VMM,
        "the snapshot `a` was not taken before it is restored",
    )


def test_a_debugger_of_another_vmm_has_no_new_vm() -> None:
    with pytest.raises(Unsupported, match="a debugger of qemu that goes on in a new VM"):
        told(guest((TAKE, *restored("new_vm")), vmm="qemu"))


def test_a_debugger_has_no_snapshots() -> None:
    machine = create("6.12")
    with pytest.raises(Unsupported, match="only a run of the scenario's own has any"):
        Session(machine, guest(before=(*guest().before, TAKE)), "plain")
    machine.close()


@pytest.mark.parametrize("kernel", ["4.14", "5.0", "5.11", "6.4", "7.3"])
@BOTH
def test_what_kvm_says_of_a_vcpu_can_be_given_to_it_on_every_kernel(
    into: Into, kernel: str
) -> None:
    gic = replace(guest((TAKE, *restored(into))), gic=None)
    trace = told(replace(gic, on=((0, (TAKE, *restored(into), SkipInstruction())),)), kernel)
    assert trace.refused == ""


@pytest.mark.parametrize(("kernel", "hsr"), [("6.3", 0xCB00_0022), ("6.4", 0xCA00_0022)])
def test_a_restored_physical_counter_is_emulated(kernel: str, hsr: int) -> None:
    """Its offset is not 0 any more, since KVM_REG_ARM_PTIMER_CNT was written."""
    steps = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
    restored_stepped = (RestoreSnapshot("a"), SetGuestDebug(steps))
    program = words("mov x1, #1; brk #0; mrs x2, cntpct_el0; nop")
    trace = told(guest((TAKE, *restored_stepped), program=program), kernel)
    assert (trace.exits[1].pc, trace.exits[1].fields["hsr"]) == (BASE + 12, hsr)


SCENARIO = """title: t
guest: {words: [0xd4200000], at: 0x40000000}
debug: {software_breakpoints: true}
before: [snapshot: kept]
expect: [{exits: [debug: {then: [%s]}, debug: {}]}]
"""


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("restore: keept", "no snapshot is called `keept`"),
        ("restore: {snapshot: kept, into: elsewhere}", "elsewhere"),
        ("restore: {snapshot: kept, refused: {x77: EINVAL}}", "no register is called `x77`"),
        ("{restore: kept, errno: EINVAL}", "the kernel cannot refuse this with one errno"),
    ],
)
def test_what_is_wrong_with_a_restore_is_told_where_it_stands(action: str, message: str) -> None:
    with pytest.raises(InvalidScenario) as invalid:
        loads(SCENARIO % action, "t.vcpu.yaml")
    assert any(
        message in found.message or found.span.line == 5 for found in invalid.value.diagnostics
    )

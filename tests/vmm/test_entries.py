"""A trace says what the VMM did before each KVM_RUN, and what ran in it where that is known."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import HostInterrupt, ImmediateExit, Limits, SetRegister, WriteMemory
from vcpu_scenario.ioctls.vcpu import SetGuestDebug, SetVcpuEvents
from vcpu_scenario.trace import Answer, Entry, GuestException

from .test_qemu import AT, BRK_7, CASE, END, LOAD, NEXT, STEPPING, run

PLAIN = replace(CASE, vmm="plain")


def stepped(kernel: str) -> list[tuple[int | None, tuple[int, ...] | None]]:
    """Of each entry, the access that KVM completed and what ran after it."""
    entries = run(PLAIN, kernel).entries
    return [(entry.inside.access, entry.inside.ran) for entry in entries if entry.inside]


def test_what_the_vmm_did_is_in_the_entry_that_it_did_it_for() -> None:
    write = WriteMemory(AT + 0x100, b"hi")
    case = replace(PLAIN, before=(write,), on=((2, (SetRegister("x2", 7), ImmediateExit())),))
    first, second, third, fourth = run(case, "6.12").entries
    assert first.did == (SetGuestDebug(STEPPING), write)
    assert second.did == ()
    assert third.did == (Answer(0x90),)
    assert fourth.did == (SetRegister("x2", 7), ImmediateExit())


def test_pc_is_read_after_what_the_vmm_did() -> None:
    case = replace(PLAIN, on=((0, (SetRegister("pc", END),)),), limits=Limits(exits=2))
    assert [entry.pc for entry in run(case).entries] == [AT, END]


def test_the_debug_state_is_that_of_the_entry() -> None:
    case = replace(PLAIN, on=((0, (SetGuestDebug(replace(STEPPING, control=0)),)),))
    debug = [entry.debug for entry in run(replace(case, limits=Limits(exits=2))).entries]
    assert debug == [STEPPING, replace(STEPPING, control=0)]


def test_an_exit_that_the_vmm_gives_to_the_guest_is_said_so() -> None:
    case = replace(CASE, vmm="qemu", before=(WriteMemory(AT, BRK_7.to_bytes(4, "little")),))
    entries = run(replace(case, limits=Limits(exits=2))).entries
    assert GuestException() in entries[-1].did


@pytest.mark.parametrize(
    ("kernel", "ran"),
    [
        ("4.14", [(None, (AT,)), (None, ()), (LOAD, (NEXT,)), (None, (END,))]),
        ("4.18", [(None, ()), (None, (AT,)), (None, ()), (LOAD, ())]),
        ("5.10", [(None, (AT,)), (None, ()), (LOAD, (NEXT,)), (None, (END,))]),
        ("6.12", [(None, (AT,)), (None, ()), (LOAD, ()), (None, (NEXT,))]),
    ],
)
def test_a_step_over_mmio_says_what_ran_unseen(
    kernel: str, ran: list[tuple[int | None, tuple[int, ...]]]
) -> None:
    assert stepped(kernel) == ran


def test_an_instruction_over_which_kvm_moves_pc_is_named() -> None:
    """Before 5.1 KVM completes the access once more after a run that only returned."""
    limits = Limits(exits=4, stop_on_intr=False)
    case = replace(PLAIN, on=((1, (ImmediateExit(),)),), limits=limits)
    jumped = {
        kernel: [entry.inside.jumped for entry in run(case, kernel).entries if entry.inside]
        for kernel in ("5.0", "5.10")
    }
    assert jumped == {"5.0": [None, None, None, NEXT], "5.10": [None] * 4}


def test_nobody_counts_what_runs_without_a_step() -> None:
    case = replace(PLAIN, debug=None, limits=Limits(exits=1))
    (entry,) = run(case).entries
    assert entry.inside is not None
    assert (entry.inside.entered, entry.inside.left, entry.inside.ran) == (AT, LOAD, None)


def test_what_returns_before_the_guest_is_entered_enters_nothing() -> None:
    case = replace(PLAIN, before=(ImmediateExit(),), limits=Limits(exits=1))
    (entry,) = run(case).entries
    assert entry.inside is not None
    assert (entry.inside.entered, entry.inside.ran) == (None, ())


def test_an_injected_exception_is_where_the_guest_goes_on() -> None:
    case = replace(
        PLAIN, regs=(*PLAIN.regs, ("vbar_el1", AT + 0x800)), before=(SetVcpuEvents(ext_dabt=True),)
    )
    entry = run(replace(case, debug=None, limits=Limits(exits=1))).entries[0]
    assert entry.pc == AT
    assert entry.inside is not None
    assert entry.inside.entered == AT + 0x800 + 0x200


def test_entries_that_no_exit_came_of_are_there_too() -> None:
    case = replace(CASE, before=(HostInterrupt(),), limits=Limits(exits=1))
    kick, own = run(case, "6.12").entries
    assert (kick.exit, kick.kicked) == (None, True)
    assert isinstance(own, Entry)
    assert own.exit == 0

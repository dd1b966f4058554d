"""A run goes on after what ends one, where the scenario acts there; what is expected to be refused
is held to it."""

from __future__ import annotations

import errno
from collections.abc import Mapping

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import (
    Action,
    Attempt,
    Case,
    Limits,
    Load,
    Memslot,
    PendSignal,
    RunAgain,
    RunVcpu,
    SetRegister,
)
from vcpu_scenario.interchange.traces import trace_from_json, trace_to_json
from vcpu_scenario.ioctls.vcpu import GuestDebug, InitVcpu, SetMpState
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.turns import Turns

from tests.guests import words

RAM = 0x4000_0000
RESET = words("mov w0, #9; movk w0, #0x8400, lsl #16; hvc #0; brk #0")
BRK = words("brk #0")
AFTER = RAM + 12


def run(
    code: tuple[int, ...],
    on: Mapping[int, tuple[Action, ...]],
    before: tuple[Action, ...] = (),
    kernel: str = "6.12",
    limits: Limits | None = None,
    vcpus: int = 1,
    final_regs: tuple[str, ...] = (),
) -> Trace:
    case = Case(
        slots=(Memslot(RAM, 0x1_0000),),
        loads=(Load(RAM, b"".join(word.to_bytes(4, "little") for word in code)),),
        regs=(("pc", RAM),),
        debug=GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP),
        before=before,
        on=tuple(on.items()),
        limits=limits or Limits(exits=4),
        vcpus=vcpus,
        final_regs=final_regs,
        quantum=100 if vcpus > 1 else None,
    )
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def what(trace: Trace) -> list[str]:
    return [errno.errorcode[e.errno] if e.ret else e.exit for e in trace.exits]


def test_a_system_event_ends_a_run_that_does_nothing_at_it() -> None:
    trace = run(RESET, {})
    assert (what(trace), trace.ended) == (["SYSTEM_EVENT"], Ending.SYSTEM_EVENT)


def test_a_vmm_that_forgets_to_stop_waits_in_kvm_run() -> None:
    trace = run(RESET, {0: (RunAgain(),)})
    assert (what(trace), trace.ended) == (["SYSTEM_EVENT", "EINTR"], Ending.INTERRUPTED)
    assert trace.exits[1].exit == "INTR"


def test_a_vcpu_that_is_made_runnable_goes_on_behind_the_call() -> None:
    trace = run(RESET, {0: (SetMpState(abi.KVM_MP_STATE_RUNNABLE),)})
    assert what(trace)[:2] == ["SYSTEM_EVENT", "DEBUG"]
    assert trace.exits[1].pc == AFTER


def test_where_every_vcpu_is_off_none_takes_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    following = Turns.following

    def asking(turns: Turns) -> int | None:
        asked.append(following(turns))
        return asked[-1]

    monkeypatch.setattr(Turns, "following", asking)
    off = (SetMpState(abi.KVM_MP_STATE_STOPPED),)
    trace = run(BRK, {}, off, limits=Limits(exits=4, instructions=5000), vcpus=8)
    assert (what(trace), trace.ended) == (["EINTR"], Ending.INTERRUPTED)
    assert asked == [None]


def test_limits_can_end_a_run_at_a_system_event_whatever_is_done_there() -> None:
    trace = run(RESET, {0: (RunAgain(),)}, limits=Limits(stop_on_event=True))
    assert trace.ended is Ending.SYSTEM_EVENT


@pytest.mark.parametrize("code", [RESET, BRK])
def test_a_vmm_that_acts_at_the_last_exit_does_so_before_the_run_ends(
    code: tuple[int, ...],
) -> None:
    acting, limits = {0: (SetRegister("x1", 7),)}, Limits(exits=1)
    idle = run(code, acting, limits=limits, final_regs=("x1",))
    acts = replace(limits, act_at_last=True)
    acted = run(code, acting, limits=acts, final_regs=("x1",))
    assert (idle.final_regs, idle.after) == ({"x1": 0}, ())
    assert (acted.final_regs, acted.after) == ({"x1": 7}, (SetRegister("x1", 7),))
    assert idle.exits == acted.exits
    assert acted.ended is Ending.EXIT_LIMIT
    assert trace_from_json(trace_to_json(acted)).after == acted.after


def test_what_is_refused_at_the_last_exit_ends_the_run() -> None:
    attempt = {0: (Attempt(SetMpState(0), errno.EINVAL),)}
    trace = run(BRK, attempt, limits=Limits(exits=1, act_at_last=True))
    assert trace.ended is Ending.NOT_REFUSED


def test_an_error_comes_again_until_pc_is_moved() -> None:
    code = words("mov x1, #0x09000000; ldp w2, w3, [x1]; brk #0")
    trace = run(code, {0: (RunAgain(),), 1: (SetRegister("pc", RAM + 8),)})
    assert what(trace)[:3] == ["ENOSYS", "ENOSYS", "DEBUG"]


def test_a_reset_leaves_guest_debug_and_memory_and_little_else() -> None:
    code = words("mov x1, #7; msr tpidr_el1, x1; mov sp, x1; brk #0")
    after = (InitVcpu(), SetRegister("pc", RAM + 12))
    trace = run(code, {0: after}, limits=Limits(exits=2))
    assert what(trace) == ["DEBUG", "DEBUG"]
    assert trace.exits[0].regs["x1"] == 7
    assert trace.exits[1].regs["x1"] == 0


def test_other_features_are_refused_and_reset_nothing() -> None:
    attempt = Attempt(InitVcpu(()), errno.EINVAL)
    trace = run(words("mov x1, #7; brk #0"), {0: (attempt, SetRegister("pc", RAM + 4))})
    assert what(trace)[:2] == ["DEBUG", "DEBUG"]
    assert "x1" not in trace.exits[1].regs


@pytest.mark.parametrize(
    ("attempt", "told"),
    [
        (Attempt(SetMpState(99), errno.EBUSY), "KVM_SET_MP_STATE 99 gave EINVAL, expected EBUSY"),
        (Attempt(SetMpState(0), errno.EINVAL), "KVM_SET_MP_STATE 0 succeeded, expected EINVAL"),
    ],
)
def test_what_is_not_refused_as_expected_ends_the_run(attempt: Attempt, told: str) -> None:
    trace = run(BRK, {0: (attempt,)})
    assert (trace.ended, trace.refused) == (Ending.NOT_REFUSED, told)
    trace = run(BRK, {}, before=(attempt,))
    assert (trace.ended, trace.refused, trace.exits) == (Ending.NOT_REFUSED, told, ())


def test_a_refusal_is_told_with_the_register_and_the_errno() -> None:
    trace = run(BRK, {0: (SetRegister("std_bmap", 1),)}, kernel="5.10")
    assert trace.ended is Ending.REFUSED
    assert trace.refused == "KVM_SET_ONE_REG 0x6030000000160000 (std_bmap): ENOENT"


def test_a_pending_signal_is_for_the_next_run_alone() -> None:
    trace = run(BRK, {0: (RunAgain(),)}, before=(PendSignal(),))
    assert what(trace)[:2] == ["EINTR", "DEBUG"]
    assert trace.exits[0].exit == "INTR"


def test_a_pending_signal_is_no_end_of_a_turn() -> None:
    limits = Limits(exits=2)
    trace = run(BRK, {0: (RunAgain(),)}, before=(PendSignal(),), limits=limits, vcpus=2)
    assert what(trace) == ["EINTR", "DEBUG"]


def test_the_only_vcpu_may_be_the_one_to_run() -> None:
    assert what(run(BRK, {}, before=(RunVcpu(0),)))[0] == "DEBUG"

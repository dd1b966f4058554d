"""What a scenario asks for, said to a VMM by the debugger that is attached to it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Case, Limits, WriteMemory
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.vmm.attached import Asker, asker_of
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.setup import set_up
from vcpu_scenario.vmm.stepping import step_through
from vcpu_scenario.vmm.vmms import VMMS

from tests.debugger.guests import AT, CASE, CELL, LOAD, NEXT, STORE
from tests.guests import binary

BRK = binary("brk #0")
OTHER_BRK = binary("brk #7")
ENABLE, SINGLESTEP = abi.KVM_GUESTDBG_ENABLE, abi.KVM_GUESTDBG_SINGLESTEP
STEPPING = GuestDebug(ENABLE | SINGLESTEP)
AT_STORE = GuestDebug(ENABLE | abi.KVM_GUESTDBG_USE_HW, (STORE,))
WATCHING = GuestDebug(ENABLE | abi.KVM_GUESTDBG_USE_HW, watch=(Watchpoint(CELL, 8, "w"),))


def run(vmm: str, kernel: str = "6.12", **changes: object) -> Trace:
    limits = Limits(exits=8, instructions=20_000)
    case = replace(CASE, vmm=vmm, limits=limits, **changes)
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def pcs(trace: Trace) -> list[int]:
    return [stop.pc for stop in trace.stops]


@pytest.mark.parametrize("vmm", VMMS)
@pytest.mark.parametrize("kernel", ["5.10", "6.12", "7.2"])
def test_the_stops_of_a_scenario_are_those_of_a_session(vmm: str, kernel: str) -> None:
    told = pcs(run(vmm, kernel, debug=STEPPING))
    machine = create(kernel)
    landings = step_through(machine, CASE, vmm).landings[1:]
    machine.close()
    assert told
    assert told == [each.pc for each in landings][: len(told)]


def test_crosvm_goes_on_stepping_when_the_scenario_does_not() -> None:
    then = ((0, (SetGuestDebug(GuestDebug(ENABLE)),)),)
    assert pcs(run("plain", debug=STEPPING, on=then)) == [AT + 4]
    assert pcs(run("crosvm", debug=STEPPING, on=then))[:2] == [AT + 4, LOAD]


def test_firecracker_ends_at_a_stop_that_it_cannot_translate() -> None:
    trace = run("firecracker", debug=AT_STORE)
    assert trace.ended is Ending.VMM
    assert trace.refused == f"its stub cannot translate the pc: cannot access {STORE:#x}"


@pytest.mark.parametrize("vmm", ["firecracker", "cloud-hypervisor", "crosvm"])
def test_what_a_vmm_has_no_packet_for_ends_the_run(vmm: str) -> None:
    trace = run(vmm, debug=WATCHING)
    assert trace.ended is Ending.VMM
    assert trace.refused == f"{vmm} sets no watchpoint at {CELL:#x}"


def test_a_watchpoint_is_told_by_those_that_have_them() -> None:
    for vmm in ("plain", "qemu", "qemu-7.2", "kvmtool"):
        assert pcs(run(vmm, debug=WATCHING))[:1] == [STORE]


def test_a_hardware_breakpoint_that_is_moved_is_set_anew() -> None:
    moved = replace(AT_STORE, hw_bp=(STORE + 4,))
    trace = run("qemu", debug=AT_STORE, on=((1, (SetGuestDebug(moved),)),))
    assert pcs(trace)[:2] == [STORE, STORE + 4]
    asked = [deed.debug.hw_bp for e in trace.entries for deed in e.did if hasattr(deed, "debug")]
    assert asked == [(STORE,), (STORE + 4,)]


def asker(vmm: str = "qemu", case: Case = CASE) -> Asker:
    machine = create("6.12")
    set_up(machine, case)
    return asker_of(machine, replace(case, vmm=vmm), Bus(case))


@pytest.mark.parametrize("vmm", ["plain", "qemu"])
@pytest.mark.parametrize(
    ("written", "known"),
    [
        ([], False),
        ([(0, BRK)], True),
        ([(-4, OTHER_BRK + BRK)], True),
        ([(-3, bytes(3) + BRK)], True),
        ([(0, OTHER_BRK)], False),
        ([(4, BRK)], False),
        ([(0, BRK), (0, OTHER_BRK)], False),
        ([(0, BRK), (4, OTHER_BRK)], True),
    ],
)
def test_a_brk_is_the_debuggers_where_the_vmm_wrote_it(
    vmm: str, written: list[tuple[int, bytes]], known: bool
) -> None:
    one = asker(vmm)
    for at, data in written:
        list(one.do(WriteMemory(NEXT + at, data)))
    assert (NEXT in one.asked.breakpoints) == known


def test_a_breakpoint_that_is_written_over_is_not_put_back() -> None:
    machine = create("6.12")
    set_up(machine, CASE)
    one = asker_of(machine, replace(CASE, vmm="qemu"), Bus(CASE))
    list(one.do(WriteMemory(LOAD, OTHER_BRK + BRK)))
    assert machine.memory.read(LOAD, 8) == OTHER_BRK + BRK
    list(one.do(WriteMemory(LOAD, bytes(8))))
    assert machine.memory.read(LOAD, 8) == bytes(8)
    machine.close()


def test_a_brk_of_the_guests_own_is_told_by_the_scenario_alone() -> None:
    code = replace(CASE.loads[0], data=binary("nop; brk #7; nop"))
    asks = GuestDebug(STEPPING.control | abi.KVM_GUESTDBG_USE_SW_BP)
    told = {vmm: run(vmm, debug=asks, loads=(code,)).stops for vmm in ("plain", "qemu")}
    assert [stop.reason for stop in told["plain"]][:2] == ["step", "brk"]
    assert all(stop.reason == "step" for stop in told["qemu"])

"""A debugger that only steps: what it is told through each VMM's eyes, and how it ends."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from typing import Final

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.stops import findings
from vcpu_scenario.case import Case, ExitPattern, Load, Memslot, Reaction, WriteMemory
from vcpu_scenario.course import Course, End, Why
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.vmm.debugger import BRK
from vcpu_scenario.vmm.stepping import MOST, step_through
from vcpu_scenario.vmm.vmms import VMMS

from tests.debugger.guests import AT, CASE, CELL, LOAD, NEXT, STORE
from tests.guests import binary
from tests.vmm.sessions import RECORDED

WATCHING: Final = GuestDebug(
    abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW, watch=(Watchpoint(CELL, 8, "w"),)
)
STEPPING: Final = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)


def course(case: Case, vmm: str = "qemu", kernel: str = "6.12") -> Course:
    machine = create(kernel)
    try:
        return step_through(machine, case, vmm)
    finally:
        machine.close()


def guest(code: bytes) -> Case:
    return Case(slots=(Memslot(AT, 0x10000),), loads=(Load(AT, code),), regs=(("pc", AT),))


def found(case: Case, vmm: str, kernel: str) -> list[tuple[str, int]]:
    each = findings(course(case, vmm, kernel), Guest(case, {}))
    return [(one.kind, one.place.pc) for one in each]


def pcs(course: Course) -> Sequence[int]:
    return [landing.pc for landing in course.landings]


@pytest.mark.parametrize("vmm", [vmm for vmm in VMMS if vmm != "qemu-2017"])
def test_5_10_skips_the_instruction_behind_an_access_and_6_12_does_not(vmm: str) -> None:
    assert found(CASE, vmm, "5.10") == [("skipped", NEXT)]
    assert found(CASE, vmm, "6.12") == []


@pytest.mark.parametrize(
    ("kernel", "skips"), [("5.10", True), ("6.12", True), ("6.16", False), ("7.2", False)]
)
def test_the_patch_of_2017_tells_an_access_twice_and_skips_as_recorded(
    kernel: str, skips: bool
) -> None:
    twice, skipped = ("twice", LOAD), ("skipped", NEXT)
    assert found(CASE, "qemu-2017", kernel) == [twice, *([skipped] if skips else [])]


def test_it_stops_at_every_instruction_from_the_first_and_has_enough_of_a_loop() -> None:
    came = course(CASE)
    assert pcs(came)[:5] == [AT, AT + 4, LOAD, NEXT, STORE]
    assert (came.end, len(came.landings)) == (End.ENOUGH, MOST + 1)
    assert came.landings[0].why is Why.START
    assert came.landings[3].regs[1] == 0x90


def test_it_has_enough_of_one_place() -> None:
    came = course(guest(binary("add x2, x2, #1; b .")))
    assert (came.end, len(came.landings)) == (End.ENOUGH, 11)


def test_a_watchpoint_stops_before_the_access_which_is_made_without_it() -> None:
    came = course(replace(CASE, debug=WATCHING), "plain")
    assert [each.why for each in came.landings] == [Why.START, Why.WATCH]
    assert pcs(came)[1] == STORE
    assert came.end is End.RUNS


def test_5_10_loses_the_guest_at_a_watchpoint_of_qemus() -> None:
    came = course(replace(CASE, debug=WATCHING), "qemu", "5.10")
    assert (len(came.landings), came.end, came.given) == (1, End.RUNS, True)


def test_what_a_vmm_does_not_set_is_named() -> None:
    assert course(replace(CASE, debug=WATCHING), "crosvm").unset == ((2, CELL, 8),)


@pytest.mark.parametrize("vmm", ["plain", "qemu", "qemu-7.2", "qemu-2017"])
def test_a_breakpoint_is_hit_and_gone_on_from(vmm: str) -> None:
    brk = (WriteMemory(STORE, BRK),)
    came = course(replace(CASE, before=brk), vmm)
    assert pcs(came) == [AT, STORE]
    assert came.end is End.RUNS
    assert came.landings[1].regs[2] == 1


@pytest.mark.parametrize("vmm", ["cloud-hypervisor", "crosvm"])
def test_a_brk_that_a_vmm_does_not_ask_kvm_for_goes_to_the_guest(vmm: str) -> None:
    came = course(replace(CASE, before=(WriteMemory(STORE, BRK),)), vmm)
    assert (pcs(came), came.end, came.pc) == ([AT], End.RUNS, 0x200)


def test_a_case_that_ever_asks_for_a_step_is_stepped_and_nothing_is_set() -> None:
    asked = replace(CASE, debug=STEPPING, before=(WriteMemory(STORE, BRK),))
    later = Reaction(ExitPattern(), (SetGuestDebug(STEPPING),))
    for case in (asked, replace(CASE, debug=WATCHING, reactions=(later,))):
        assert pcs(course(case)) == pcs(course(CASE))


def test_the_end_of_the_code_is_one() -> None:
    came = course(guest(binary("add x2, x2, #1; add x2, x2, #1")))
    assert (came.end, pcs(came)) == (End.CODE, [AT, AT + 4, AT + 8])
    assert not came.end.is_loss


def test_a_guest_that_switches_itself_off_is_no_loss() -> None:
    assert course(guest(binary("mov w0, #8; movk w0, #0x8400, lsl #16; hvc #0"))).end is End.OFF


def test_after_a_reset_the_guest_begins_again_whatever_the_ioctl_resets() -> None:
    """KVM_ARM_VCPU_INIT resets every register of a vCPU that has run."""

    class Resets(EmulatedMachine):
        def vcpu_init(
            self, features: Sequence[str], target: int | None = None, bits: int = 0
        ) -> None:
            super().vcpu_init(features, target, bits)
            for register in ("pc", "x0", "x1", "x19"):
                self.set_one_reg(CORE_REGISTERS[register], 0)

    reset = guest(binary("mov w0, #9; movk w0, #0x8400, lsl #16; hvc #0"))
    came = step_through(Resets(kernel("6.12")), reset, "qemu")
    assert pcs(came)[:3] == [AT, AT + 4, AT + 8]
    assert set(pcs(came)) == {AT, AT + 4, AT + 8}


def test_a_guest_that_waits_is_left_waiting() -> None:
    case = guest(binary("add x2, x2, #1; wfi; add x2, x2, #1"))
    came = course(replace(case, before=(WriteMemory(AT + 8, BRK),)))
    assert (came.end, pcs(came), came.pc) == (End.WAITS, [AT], AT + 8)


def test_a_guest_that_takes_an_exception_without_a_vector_is_lost() -> None:
    case = guest(binary("add x2, x2, #1; svc #0"))
    nothing_there, empty = (
        course(case),
        course(replace(case, slots=(*case.slots, Memslot(0, 4096)))),
    )
    assert (nothing_there.end, nothing_there.pc) == (End.RUNS, 0x200)
    assert (empty.end, empty.pc) == (End.NOWHERE, 0x200)
    assert nothing_there.end.is_loss
    assert empty.end.is_loss


def test_what_is_not_modelled_is_named() -> None:
    """An exception return to AArch32."""
    case = guest(binary("msr spsr_el1, x1; msr elr_el1, x2; eret"))
    came = course(replace(case, regs=(*case.regs, ("x1", 0x10), ("x2", AT))))
    assert came.end is End.NOT_MODELLED
    assert came.words.startswith("AArch32 state")


def test_what_the_kernel_refuses_is_no_stop() -> None:
    came = course(replace(CASE, caps=("no_such_thing",)))
    assert (came.end, came.landings) == (End.REFUSED, ())
    assert "no_such_thing" in came.words


def test_the_kernels_that_a_vmm_is_said_to_be_recorded_under_are_those_of_the_recordings() -> None:
    with lzma.open(RECORDED / "wire.json.xz") as file:
        recordings = json.load(file)["recordings"]
    for name, vmm in VMMS.items():
        kernels = {each["kernel"] for each in recordings if each["vmm"] == name}
        assert kernels == set(vmm.known.recorded), name
        versions = {each["version"] for each in recordings if each["vmm"] == name}
        assert all(vmm.known.version.startswith(version) for version in versions), name

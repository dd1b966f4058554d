"""What each VMM does to its guest and tells its debugger, as its source has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from vcpu_scenario.case import Case, Load
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.session import Session, never
from vcpu_scenario.vmm.told import Over, Stopped, Why
from vcpu_scenario.vmm.vmms.base import CPSR, HARDWARE, PC, SOFTWARE, SP, Refused

from tests.debugger.guests import AT, CASE, LOAD, NEXT
from tests.guests import binary

_MASKED: Final = 0xC0
BRK_7: Final = binary("brk #7; nop")
UNMASKED: Final = binary("msr daifclr, #3; nop; nop")


def session(vmm: str, case: Case = CASE, kernel: str = "6.12") -> Session:
    return Session(create(kernel), case, vmm)


def running(code: bytes, pstate: int = 0x3C5) -> Case:
    return replace(CASE, loads=(Load(AT, code),), regs=(("pstate", pstate), ("pc", AT)))


def test_firecracker_masks_interrupts_in_a_step_and_unmasks_them_behind_it() -> None:
    one = session("firecracker", running(UNMASKED, pstate=0x305))
    one.resume(step=True)
    assert not pstate_of(one) & _MASKED  # the guest has just unmasked them
    one.resume(step=True)
    assert pstate_of(one) & _MASKED == _MASKED
    one.close()


def pstate_of(one: Session) -> int:
    return one.machine.get_one_reg(id_of("pstate"))


def test_firecracker_ends_at_a_stop_that_it_cannot_translate() -> None:
    one = session("firecracker")
    one.vmm.insert(HARDWARE, LOAD, 4)
    assert isinstance(one.resume(step=False), Over)
    with pytest.raises(Unreachable):
        one.vmm.read_memory(AT, 4)
    one.close()


def test_cloud_hypervisor_loses_its_breakpoints_over_a_step() -> None:
    one = session("cloud-hypervisor")
    one.vmm.insert(HARDWARE, NEXT, 4)
    one.resume(step=True)
    assert one.vmm.debug.hw_bp == ()
    looks = iter(range(3))
    told = one.resume(False, lambda: next(looks, None) is None)
    assert told == Stopped(Why.INTERRUPT, 2)
    one.close()


def test_crosvm_goes_on_stepping_after_a_step() -> None:
    one = session("crosvm")
    one.resume(step=True)
    assert one.resume(step=False) == Stopped(Why.HARDWARE)
    assert one.pc == AT + 8
    one.vmm.insert(HARDWARE, NEXT + 12, 4)
    assert not one.vmm.debug.control & abi.KVM_GUESTDBG_SINGLESTEP
    one.close()


def test_kvmtool_undoes_what_a_step_did_to_the_mask() -> None:
    one = session("kvmtool", running(UNMASKED))
    one.resume(step=True)
    assert one.vmm.read_register(CPSR) & 0x1C0 == 0x1C0
    one.close()


def test_kvmtool_steps_over_its_own_breakpoint() -> None:
    one = session("kvmtool")
    one.vmm.insert(SOFTWARE, AT, 4)
    one.vmm.insert(SOFTWARE, LOAD, 4)
    assert one.resume(step=False) == Stopped(Why.SOFTWARE)
    assert one.pc == LOAD
    assert one.vmm.read_memory(AT, 4) == (0xD4200000).to_bytes(4, "little")
    one.close()


@pytest.mark.parametrize(
    ("vmm", "why"),
    [
        ("plain", Why.SOFTWARE),
        ("cloud-hypervisor", Why.STEP),
        ("crosvm", Why.STEP),
        ("firecracker", Why.STEP),
        ("qemu", Why.STEP),
    ],
)
def test_what_a_brk_of_the_guests_own_is_told_as(vmm: str, why: Why) -> None:
    case = replace(running(BRK_7), regs=(("vbar_el1", AT), ("pc", AT)))
    one = session(vmm, case)
    looks = iter(range(5))
    told = one.resume(True, lambda: next(looks, None) is None)
    assert isinstance(told, Stopped)
    assert told.why is why
    assert (one.pc == AT) == (vmm != "qemu")
    one.close()


@pytest.mark.parametrize(("vmm", "most"), [("firecracker", 4), ("kvmtool", 4), ("qemu", 6)])
def test_how_many_breakpoints_there_are(vmm: str, most: int) -> None:
    one = session(vmm)
    for number in range(most):
        one.vmm.insert(HARDWARE, AT + 4 * number, 4)
    with pytest.raises(Refused):
        one.vmm.insert(HARDWARE, AT + 0x80, 4)
    one.close()


@pytest.mark.parametrize("vmm", ["firecracker", "cloud-hypervisor", "crosvm", "kvmtool"])
def test_the_stack_pointer_that_is_shown_is_that_of_el0(vmm: str) -> None:
    case = replace(CASE, regs=(("sp_el0", 0x1234), ("sp_el1", 0x5678), ("pc", AT)))
    one = session(vmm, case)
    assert one.vmm.read_register(SP) == 0x1234
    assert one.vmm.read_register(PC) == AT
    one.close()
    other = session("qemu", case)
    assert other.vmm.read_register(SP) == 0x5678
    other.close()


def test_a_session_without_interrupts_ends_where_the_guest_waits() -> None:
    one = session("plain", running(binary("wfi; nop")))
    assert one.resume(False, never) == Stopped(Why.INTERRUPT, 2)
    assert one.pc == AT + 4
    one.close()

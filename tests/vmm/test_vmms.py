"""What each VMM does to its guest and tells its debugger, as its source has it."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Case, Device, Gic, Load, Memslot
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.kvm.vgicattrs import KVM_DEV_ARM_VGIC_GRP_DIST_REGS
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.debugger import BRK
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.session import Session, never
from vcpu_scenario.vmm.told import Over, Stopped, Why
from vcpu_scenario.vmm.vmms.kernel_half import MemoryAlone
from vcpu_scenario.vmm.vmms.terms import HARDWARE, PC, SOFTWARE, SP, Refused

from tests.debugger.guests import AT, CASE, LOAD, NEXT
from tests.guests import binary

_MASKED: Final = 0xC0
_GICD_ISPENDR1: Final = 0x204
LOW: Final = 0x1000
WRITES: Final = 2
"""The protocol's ``Z2``."""
BRK_7: Final = binary("brk #7; nop")
UNMASKED: Final = binary("msr daifclr, #3; nop; nop")
NO_SYNDROME: Final = binary("ldp x1, x2, [x0]; nop")


def session(vmm: str, case: Case = CASE, kernel: str = "6.12") -> Session:
    return Session(create(kernel), case, vmm)


def running(code: bytes, pstate: int = 0x3C5) -> Case:
    return replace(CASE, loads=(Load(AT, code),), regs=(("pstate", pstate), ("pc", AT)))


def test_a_uart_whose_interrupt_is_pending_from_the_start_raises_it_once_there_is_a_vgic() -> None:
    imsc, rx = 0x38, 0x10
    uart = Device("uart", 0x0900_0000, 0x1000, "pl011", ((imsc, rx),), input=b"a", spi=33)
    gic = Gic(2, 0x0800_0000, cpu=0x0801_0000)
    one = session("plain", replace(CASE, gic=gic, devices=(uart,)))
    pending = DeviceAttr("vgic", KVM_DEV_ARM_VGIC_GRP_DIST_REGS, _GICD_ISPENDR1)
    assert one.machine.devices.get(pending) == 1 << 33 - 32
    one.close()


@pytest.mark.parametrize("vmm", ["firecracker", "cloud-hypervisor", "crosvm", "kvmtool"])
def test_an_exit_that_a_vmm_does_not_know_ends_it(vmm: str) -> None:
    case = replace(running(NO_SYNDROME), regs=(("x0", 0x0900_0000), ("pc", AT)))
    one = session(vmm, replace(case, caps=("arm_nisv_to_user",)))
    told = one.resume(step=True, interrupted=lambda: len(one.exits) > 2)
    assert isinstance(told, Stopped)
    assert (told.why, told.words) == (Why.LOST, "KVM_EXIT_ARM_NISV")
    one.close()


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


def test_kvmtool_undoes_what_a_step_did_to_the_mask_but_for_the_first_step() -> None:
    code = binary("msr daifset, #3; msr daifclr, #3; nop")
    one = session("kvmtool", running(code, pstate=0x305))
    one.resume(step=True)  # the vCPU had not stopped by itself: what the guest did holds
    assert pstate_of(one) & _MASKED == _MASKED
    one.resume(step=True)
    assert pstate_of(one) & _MASKED == _MASKED
    one.close()


def low(code: bytes) -> Case:
    """A guest where kvmtool takes addresses for physical ones."""
    return replace(
        CASE, slots=(Memslot(0, 0x10000),), loads=(Load(LOW, code),), regs=(("pc", LOW),)
    )


def test_kvmtool_steps_over_its_own_breakpoint() -> None:
    one = session("kvmtool", low(binary("nop; nop; nop; b .")))
    one.vmm.insert(SOFTWARE, LOW, 4)
    one.vmm.insert(SOFTWARE, LOW + 8, 4)
    assert one.resume(step=False) == Stopped(Why.SOFTWARE)
    assert one.pc == LOW  # it had not stopped here by itself: nothing was lifted
    assert one.resume(step=False) == Stopped(Why.SOFTWARE)
    assert one.pc == LOW + 8
    assert one.vmm.read_memory(LOW, 4) == BRK
    one.close()


def test_kvmtool_leaves_a_step_that_is_cut_short_as_it_is_until_the_next_stop() -> None:
    one = session("kvmtool", running(UNMASKED, pstate=0x305))
    one.resume(step=True)
    assert one.resume(True, lambda: True) == Stopped(Why.INTERRUPT, 5)
    assert pstate_of(one) & _MASKED == _MASKED
    assert one.resume(step=True) == Stopped(Why.STEP)
    assert not pstate_of(one) & _MASKED
    one.close()


def test_kvmtool_reaches_low_addresses_and_the_kernels_half_alone() -> None:
    one = session("kvmtool")
    for addr in (AT, 1 << 20):
        with pytest.raises(Unreachable):
            one.vmm.read_memory(addr, 4)
    with pytest.raises(Refused):
        one.vmm.insert(SOFTWARE, AT, 4)
    assert isinstance(one.vmm, MemoryAlone)
    assert one.vmm.ipa((1 << 20) - 4) == (1 << 20) - 4
    assert one.vmm.ipa(0xFFFF_0000_0000_1000) == 0x8000_1000
    one.close()


def test_kvmtool_takes_any_watchpoint_and_programs_those_within_eight_bytes() -> None:
    one = session("kvmtool")
    for addr, length in ((AT + 6, 4), (AT + 4, 4), (AT, 16)):
        one.vmm.insert(WRITES, addr, length)
    one.resume(step=True)
    assert [(watch.addr, watch.len) for watch in one.vmm.debug.watch] == [(AT + 4, 4)]
    one.close()


RESETS: Final = binary("movz x0, #0x8400, lsl #16; movk x0, #9; hvc #0; b .")


@pytest.mark.parametrize(
    ("vmm", "status", "unmodelled"),
    [
        ("firecracker", 0, False),
        ("crosvm", 32, False),
        ("kvmtool", 0, False),
        ("cloud-hypervisor", 1, True),
    ],
)
def test_a_guest_that_resets_itself_is_over(vmm: str, status: int, unmodelled: bool) -> None:
    one = session(vmm, replace(running(RESETS), psci_0_2=True))
    told = one.resume(step=False)
    assert isinstance(told, Over)
    assert (told.status, bool(told.unmodelled)) == (status, unmodelled)
    one.close()


def test_qemu_starts_a_guest_that_resets_itself_again() -> None:
    one = session("qemu", replace(running(RESETS), psci_0_2=True))
    one.vmm.insert(HARDWARE, AT + 8, 4)
    assert one.resume(step=False) == Stopped(Why.HARDWARE)
    one.vmm.remove(HARDWARE, AT + 8, 4)
    one.vmm.insert(HARDWARE, AT, 4)
    assert one.resume(step=False) == Stopped(Why.HARDWARE)
    assert (one.pc, one.vmm.read_register(0)) == (AT, 0)
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


EL1T, EL1H = 0x3C4, 0x3C5


@pytest.mark.parametrize(
    ("vmm", "pstate", "bank"),
    [
        ("firecracker", EL1H, "sp_el0"),
        ("cloud-hypervisor", EL1H, "sp_el0"),
        ("crosvm", EL1H, "sp_el0"),
        ("kvmtool", EL1H, "sp_el1"),
        ("kvmtool", EL1T, "sp_el1"),
        ("kvmtool", 0, "sp_el0"),
        ("qemu", EL1H, "sp_el1"),
        ("qemu", EL1T, "sp_el0"),
    ],
)
def test_the_stack_pointer_that_is_shown(vmm: str, pstate: int, bank: str) -> None:
    banks = (("sp_el0", 0x1230), ("sp_el1", 0x5670))
    one = session(vmm, replace(CASE, regs=(*banks, ("pc", AT), ("pstate", pstate))))
    assert one.vmm.read_register(SP) == dict(banks)[bank]
    assert one.vmm.read_register(PC) == AT
    one.close()


def test_a_session_without_interrupts_ends_where_the_guest_waits() -> None:
    one = session("plain", running(binary("wfi; nop")))
    assert one.resume(False, never) == Stopped(Why.INTERRUPT, 2)
    assert one.pc == AT + 4
    one.close()


@pytest.mark.parametrize("name", ["plain", "cloud-hypervisor", "firecracker", "kvmtool", "qemu"])
def test_a_hardware_breakpoint_within_an_instruction_is_at_that_instruction(name: str) -> None:
    """DBGBVR's bits 0 and 1 are none, and no VMM but crosvm looks at them."""
    one = session(name)
    one.vmm.insert(HARDWARE, NEXT + 2, 4)
    assert one.vmm.hardware == [NEXT + 2]
    if name not in ("firecracker", "qemu"):  # which do not know what stopped them
        assert isinstance(one.resume(step=False), Stopped)
        assert one.pc == NEXT


def test_crosvm_sets_nothing_while_it_has_an_address_that_is_not_aligned() -> None:
    one = session("crosvm")
    for addr in (NEXT + 2, NEXT):
        with pytest.raises(Refused):
            one.vmm.insert(HARDWARE, addr, 4)
    one.vmm.remove(HARDWARE, NEXT + 2, 4)
    one.vmm.insert(HARDWARE, NEXT + 4, 4)
    assert one.vmm.debug.hw_bp == (NEXT, NEXT + 4)

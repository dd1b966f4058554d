"""What is looked after at each entry and exit beside the CPU: of a vCPU that has none, nothing."""

from __future__ import annotations

import struct

import pytest
from vcpu_scenario.actions.guestdebug import struct_of
from vcpu_scenario.case import Case, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.vmm.setup import set_up

from tests.guests import words

AT = 0x4000_0000
CODE = words("add x2, x2, #1; b .")


@pytest.fixture
def machine() -> EmulatedMachine:
    made = create("6.12")
    loads = (Load(AT, struct.pack(f"<{len(CODE)}I", *CODE)),)
    set_up(made, Case(slots=(Memslot(AT, 0x1000),), loads=loads, regs=(("pc", AT),)))
    made.set_guest_debug(
        struct_of(GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP))
    )
    return made


def company_after_a_step(machine: EmulatedMachine) -> set[str]:
    machine.kvm_run(instructions=1_000_000, seconds=10)
    return set(machine._vcpu.company)


def test_a_plain_step_leaves_nothing_to_look_after(machine: EmulatedMachine) -> None:
    assert machine._vcpu.company
    assert company_after_a_step(machine) == set()
    assert machine.run.exit_reason == abi.KVM_EXIT_DEBUG


def test_a_signal_is_forgotten_with_the_run_that_it_ends(machine: EmulatedMachine) -> None:
    company_after_a_step(machine)
    machine.pend_signal()
    assert company_after_a_step(machine) == set()
    assert machine.run.exit_reason == abi.KVM_EXIT_INTR


def test_a_timer_that_was_enabled_stays(machine: EmulatedMachine) -> None:
    company_after_a_step(machine)
    machine.set_one_reg(id_of("cntv_ctl_el0"), 1)
    assert company_after_a_step(machine) == {"timers"}


def test_a_stopped_vcpu_is_let_go_when_it_is_runnable_again(machine: EmulatedMachine) -> None:
    machine.set_mp_state(abi.KVM_MP_STATE_STOPPED)
    assert "mp_state" in company_after_a_step(machine)
    machine.set_mp_state(abi.KVM_MP_STATE_RUNNABLE)
    assert company_after_a_step(machine) == set()

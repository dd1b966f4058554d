"""Counters, identities, hypercalls and the rest: right as a kernel has it, or told by name."""

from __future__ import annotations

from errno import EINVAL

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Limits
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm.registers import sys_reg
from vcpu_scenario.machine.emulated.machine import EmulatedMachine
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.trace import Trace

from .initialised import initialised
from .test_bounds import BASE, code, run

CNTVCT, CNTPCT = (3, 3, 14, 0, 2), (3, 3, 14, 0, 1)
CNTV_TVAL, CNTV_CTL, CNTV_CVAL = (3, 3, 14, 3, 0), (3, 3, 14, 3, 1), (3, 3, 14, 3, 2)
CNTP_CTL, CNTP_CVAL = (3, 3, 14, 2, 1), (3, 3, 14, 2, 2)
BRK = 0xD420_00E0
ENABLED_AND_MASKED = 3


def regs(*words: int, stepped: bool = False, **more: object) -> Trace:
    control = 0x1_0003 if stepped else 0x1_0001
    limits = Limits(exits=len(words) + 1 if stepped else 1, instructions=100_000)
    given = {"debug": GuestDebug(control), "observe": ("x1", "x2", "x3"), "limits": limits, **more}
    return run(code(*words, BRK, **given))


def told(*words: int, **more: object) -> str:
    trace = regs(*words, **more)  # type: ignore[arg-type]
    assert trace.unmodelled is not None, trace
    return trace.unmodelled.what


# -- counters, and timers that are off -------------------------------------------------------------


@pytest.mark.parametrize("counter", [CNTVCT, CNTPCT])
def test_a_counter_is_the_same_in_each_run_and_goes_on(counter: tuple[int, ...]) -> None:
    words = (w.mrs(1, counter), w.mrs(2, counter))  # type: ignore[arg-type]
    one, other = regs(*words), regs(*words)
    assert one == other
    assert one.exits[0].regs["x2"] > one.exits[0].regs["x1"]


@pytest.mark.parametrize(("kernel", "told"), [("5.10", True), ("6.12", False)])
def test_a_read_of_the_physical_counter_at_el0_is_told_where_kvm_does_not_know_it(
    kernel: str, told: bool
) -> None:
    at_el0 = (("pc", BASE), ("pstate", 0x3C0), ("cntkctl_el1", 1))
    asked = code(w.mrs(1, CNTPCT), BRK, regs=at_el0, debug=GuestDebug(0x1_0001))
    unmodelled = run(asked, kernel).unmodelled
    assert ("CNTPCT_EL0 at EL0" in unmodelled.what if unmodelled else False) is told


def test_a_timer_reads_back_while_it_cannot_fire() -> None:
    words = (
        w.movz(1, 0x1234),
        w.msr(1, CNTV_CVAL),
        w.mrs(2, CNTV_CVAL),
        w.movz(1, 2),
        w.msr(1, CNTV_CTL),
        w.mrs(3, CNTV_CTL),
    )
    found = regs(*words).exits[0].regs
    assert (found["x2"], found["x3"]) == (0x1234, 2)


def test_a_masked_timer_whose_time_is_past_has_its_status() -> None:
    words = (w.movz(1, ENABLED_AND_MASKED), w.msr(1, CNTV_CTL), w.mrs(3, CNTV_CTL))
    assert regs(*words).exits[0].regs["x3"] == ENABLED_AND_MASKED | 4


# -- registers of the VMM --------------------------------------------------------------------------


@pytest.fixture
def machine() -> EmulatedMachine:
    return initialised("6.12")


IDENTITIES = [(3, 0, 0, crm, op2) for crm in range(1, 8) for op2 in range(8)]


@pytest.mark.parametrize("encoding", [(3, 0, 0, 0, 0), *IDENTITIES])
@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
def test_an_identity_takes_what_it_is_and_no_feature_more(
    kernel: str, encoding: tuple[int, int, int, int, int]
) -> None:
    reg, machine = sys_reg(*encoding), initialised(kernel)
    value = machine.get_one_reg(reg)
    machine.set_one_reg(reg, value)
    with pytest.raises(KvmError) as refused:
        machine.set_one_reg(reg, (1 << 64) - 1)
    assert refused.value.errno == EINVAL
    assert machine.get_one_reg(reg) == value
    machine.close()


def test_the_timers_are_registers_of_the_vmm_by_the_uapis_own_ids(
    machine: EmulatedMachine,
) -> None:
    cval = sys_reg(3, 3, 14, 0, 2)  # KVM_REG_ARM_TIMER_CVAL has CNTVCT_EL0's encoding
    machine.set_one_reg(cval, 0x1234_5678)
    assert machine.get_one_reg(cval) == 0x1234_5678


# -- the rest --------------------------------------------------------------------------------------


@pytest.mark.parametrize("counter", [0, 1])
def test_the_hosts_wall_clock_goes_with_the_counter_and_is_the_same_in_each_run(
    counter: int,
) -> None:
    words = (w.movz(0, 1), 0xF2B0_C000, w.movz(1, counter), 0xD400_0002)
    one, other = regs(*words, observe=("x0", "x1", "x2", "x3")), regs(*words)
    found = one.exits[0].regs
    assert max(found.values()) < 1 << 32
    assert {name: found[name] for name in ("x1", "x2", "x3")} == other.exits[0].regs
    assert found["x0"] << 32 | found["x1"] > 10**18


@pytest.mark.parametrize(("asked", "bits"), [(0, 0), (1, 1), (32, 32), (96, 96)])
def test_as_many_random_bits_come_as_are_asked_for_and_always_the_same(
    asked: int, bits: int
) -> None:
    words = (w.movz(0, 0x53), 0xF2B0_8000, w.movz(1, asked), 0xD400_0002)
    one, other = regs(*words), regs(*words)
    assert one == other
    found = one.exits[0].regs
    value = found["x1"] << 64 | found["x2"] << 32 | found["x3"]
    assert value < 1 << bits or not value


def test_more_random_bits_than_there_are_registers_are_refused() -> None:
    words = (w.movz(0, 0x53), 0xF2B0_8000, w.movz(1, 97), 0xD400_0002)
    found = regs(*words, observe=("x0",)).exits[0].regs
    assert found["x0"] == (1 << 64) - 2

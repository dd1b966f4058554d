"""A vCPU's PMU, as Debian's kernels answered in the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EBUSY, EEXIST, EINVAL, ENODEV, ENXIO
from functools import partial
from typing import Final

import pytest
from vcpu_scenario.case import Gic
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.memory import SetMemoryRegion
from vcpu_scenario.kvm import vcpuattrs as attrs
from vcpu_scenario.kvm.registers import id_of, said
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.vmm.setup import add_gic

from tests.guests import words

vcpu = partial(DeviceAttr, "vcpu")
PMU: Final = attrs.KVM_ARM_VCPU_PMU_V3_CTRL
IRQ: Final = attrs.KVM_ARM_VCPU_PMU_V3_IRQ
INIT: Final = attrs.KVM_ARM_VCPU_PMU_V3_INIT
FILTER: Final = attrs.KVM_ARM_VCPU_PMU_V3_FILTER
SET_PMU: Final = attrs.KVM_ARM_VCPU_PMU_V3_SET_PMU
COUNTERS: Final = attrs.KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS
RAM: Final = 0x4000_0000
STORE: Final = 0xF900_0380  # str x0, [x28]
MRS_PMCCNTR: Final = 0xD53B_9D00
MRS_PMEVCNTR0: Final = 0xD53B_E800
NOP: Final = 0xD503_201F
PAST_THE_TRAP: Final = {
    "PMSELR_EL0": 0xD53B_9CA0,
    "PMCCNTR_EL0": MRS_PMCCNTR,
    "PMXEVCNTR_EL0": 0xD53B_9D40,
    "PMEVCNTR0_EL0": MRS_PMEVCNTR0,
}
"""MRS x0 of what QEMU 7.2 gives EL0 of the host's PMU without a trap."""


@contextmanager
def made(
    kernel: str = "6.12", *, pmu: bool = True, vcpus: int = 1, gic: bool = True
) -> Iterator[EmulatedMachine]:
    machine = create(kernel)
    machine.memory.set_region(SetMemoryRegion(0, RAM, 0x1_0000))
    machine.create_vcpus(vcpus) if vcpus > 1 else None
    for number in range(vcpus):
        machine.select(number)
        machine.vcpu_init(("psci_0_2", "pmu_v3") if pmu else ("psci_0_2",))
    machine.select(0)
    if gic:
        add_gic(machine.devices, Gic(3, 0x0800_0000, 0x080A_0000))
    try:
        yield machine
    finally:
        machine.close()


def initialise(machine: EmulatedMachine) -> None:
    machine.devices.set(vcpu(PMU, IRQ), 23)
    machine.devices.set(vcpu(PMU, INIT), None)


def refusal(ask: Callable[..., object], *arguments: object) -> int:
    with pytest.raises(KvmError) as refused:
        ask(*arguments)
    return refused.value.errno


def stored(machine: EmulatedMachine, *code: int, **registers: int) -> int:
    """What a guest of these instructions stores."""
    machine.memory.write(RAM, b"".join(word.to_bytes(4, "little") for word in (*code, STORE)))
    for name, value in {"pc": RAM, "x28": 0x0900_0000, **registers}.items():
        machine.set_one_reg(id_of(name), value)
    assert machine.kvm_run(instructions=1_000_000, seconds=1) == 0
    return int.from_bytes(bytes(machine.run.mmio.data), "little")


@pytest.mark.parametrize("attr", [IRQ, INIT, FILTER, SET_PMU, COUNTERS])
def test_a_vcpu_without_the_feature_has_none_of_its_attributes(attr: int) -> None:
    with made(pmu=False) as machine:
        assert refusal(machine.devices.has, vcpu(PMU, attr)) == ENXIO
        assert refusal(machine.devices.set, vcpu(PMU, attr), 23) == ENODEV
        assert refusal(machine.devices.get, vcpu(PMU, IRQ)) == ENODEV


def test_each_vcpu_has_the_same_private_interrupt_or_a_shared_one_of_its_own() -> None:
    with made(vcpus=2) as machine:
        machine.devices.set(vcpu(PMU, IRQ), 23)
        machine.select(1)
        assert refusal(machine.devices.set, vcpu(PMU, IRQ), 24) == EINVAL
        machine.devices.set(vcpu(PMU, IRQ), 40)
        assert refusal(machine.devices.set, vcpu(PMU, IRQ), 23) == EINVAL


def test_an_interrupt_of_the_timers_is_found_at_the_first_run() -> None:
    with made() as machine:
        machine.devices.set(vcpu(PMU, IRQ), 27)
        machine.devices.set(vcpu(PMU, INIT), None)
        assert machine.kvm_run(instructions=10, seconds=1) == -EINVAL


def test_the_timers_keep_theirs_where_the_first_run_failed() -> None:
    with made() as machine:
        assert machine.kvm_run(instructions=10, seconds=1) == -EINVAL
        machine.devices.set(vcpu(PMU, IRQ), 27)
        assert refusal(machine.devices.set, vcpu(PMU, INIT), None) == EEXIST


def test_without_a_vgic_a_pmu_is_initialised_without_an_interrupt() -> None:
    with made(gic=False) as machine:
        assert refusal(machine.devices.set, vcpu(PMU, IRQ), 23) == EINVAL
        machine.devices.set(vcpu(PMU, INIT), None)
        assert stored(machine, MRS_PMCCNTR) == 0x1DE7_EC7E_DBAD_C0DE


@pytest.mark.parametrize(
    ("kernel", "shown"), [("5.10", 0x2_0101), ("6.1", 0x2_0101), ("7.2", 0x4002_0101)]
)
def test_pmceid_has_the_events_of_the_host(kernel: str, shown: int) -> None:
    with made(kernel) as machine:
        initialise(machine)
        assert stored(machine, 0xD53B_9CC0) == shown


def test_counters_are_taken_away_before_the_first_run() -> None:
    with made("6.16") as machine:
        machine.devices.set(vcpu(PMU, COUNTERS), 2)
        assert refusal(machine.devices.set, vcpu(PMU, COUNTERS), 7) == EINVAL
        assert machine.get_one_reg(id_of("pmcr_el0")) == 0x1000
        assert machine.get_one_reg(id_of("pmcntenset_el0")) == 0x8000_0002
        initialise(machine)
        stored(machine, NOP)
        machine.set_one_reg(id_of("pmcr_el0"), 0x3001)
        assert machine.get_one_reg(id_of("pmcr_el0")) == 0x1001
        assert refusal(machine.devices.set, vcpu(PMU, COUNTERS), 2) == EBUSY


@pytest.mark.parametrize(
    ("kernel", "allowed", "counted"),
    [("6.12", None, 24), ("6.12", 0x11, 24), ("6.12", 0x08, 0), ("5.10", 0x08, 0)],
)
def test_an_event_that_the_filter_denies_is_not_counted(
    kernel: str, allowed: int | None, counted: int
) -> None:
    with made(kernel) as machine:
        if allowed is not None:
            machine.devices.set(vcpu(PMU, FILTER), attrs.EventFilter(allowed, 1, 0).value)
        initialise(machine)
        for name, value in (("pmcntenset_el0", 1 << 31), ("pmccfiltr_el0", 0), ("pmccntr_el0", 0)):
            machine.set_one_reg(id_of(name), value)
        machine.set_one_reg(id_of("pmcr_el0"), 0x3001)
        assert stored(machine, NOP, NOP, MRS_PMCCNTR) == counted


@pytest.mark.parametrize(
    ("kernel", "written", "then", "flag"),
    [
        ("5.10", 1, 1, 1 << 31),
        ("5.10", 0x41, 1, 1 << 31),
        ("5.10", 1, 0x41, 0),
        ("6.1", 1, 1, 0),
        ("6.12", 1, 1, 1 << 31),
        ("6.12", 0x41, 1, 0),
        ("6.12", 1, 0x41, 1 << 31),
        ("7.2", 0x41, 1, 0),
        ("7.2", 1, 0x41, 1 << 31),
    ],
)
def test_the_cycle_counter_overflows_as_pmcr_was_when_its_event_was_made(
    kernel: str, written: int, then: int, flag: int
) -> None:
    """``written`` is PMCR_EL0 at the write to PMCCNTR_EL0, ``then`` what it becomes behind it. In
    the lab each had a boot of its own: QEMU's host loses the overflow of a further VM."""
    guest = words(
        "mov x0, #-1; msr pmovsclr_el0, x0; msr pmccfiltr_el0, xzr; msr pmcr_el0, x1;"
        " mov x0, #0x80000000; msr pmcntenset_el0, x0; mov x3, #0xffff0000; msr pmccntr_el0, x3;"
        " msr pmcr_el0, x2; mov x3, #0x4000; again: sub x3, x3, #1; cbnz x3, again;"
        " mrs x0, pmovsset_el0; and x0, x0, #0x80000000"
    )
    with made(kernel) as machine:
        initialise(machine)
        assert stored(machine, *guest, x1=written, x2=then) == flag


@pytest.mark.parametrize(("filtered", "counted"), [(0, 3), (1 << 31, 0), (1 << 30, 3)])
def test_a_counter_takes_the_exception_levels_of_its_type(filtered: int, counted: int) -> None:
    """The guest is at EL1."""
    with made() as machine:
        initialise(machine)
        for name, value in (("pmevtyper0_el0", 8 | filtered), ("pmevcntr0_el0", 0)):
            machine.set_one_reg(id_of(name), value)
        machine.set_one_reg(id_of("pmcntenset_el0"), 1)
        machine.set_one_reg(id_of("pmcr_el0"), 0x3001)
        assert stored(machine, NOP, NOP, MRS_PMEVCNTR0) == counted


def test_a_snapshot_of_its_registers_goes_into_another_vm() -> None:
    with made("7.2") as machine, made("7.2") as other:
        machine.set_one_reg(id_of("pmevtyper3_el0"), 0x1E)
        of_pmu = [reg for reg in machine.reg_list() if "(pm" in said(reg)]
        values = [machine.get_one_reg(reg) for reg in of_pmu]
        for reg, value in zip(of_pmu, values, strict=True):
            other.set_one_reg(reg, value)
        assert len(of_pmu) == 74
        assert [other.get_one_reg(reg) for reg in of_pmu] == values


def test_what_is_not_known_of_a_vcpu_is_said() -> None:
    with made() as machine:
        with pytest.raises(NotModelled, match="perf's type 10"):
            machine.devices.set(vcpu(PMU, SET_PMU), 10)
        machine.devices.set(vcpu(PMU, IRQ), 40)
        with pytest.raises(NotModelled, match="an SPI"):
            machine.devices.set(vcpu(PMU, INIT), None)
    unseen = {"5.9": "kernels before 5.10", "6.12+cortex-a76": "a cortex-a76"}
    for kernel, what in unseen.items():
        other = create(kernel)
        with pytest.raises(NotModelled, match=f"the PMU of {what}"):
            other.vcpu_init(("psci_0_2", "pmu_v3"))
        other.close()


def test_a_step_is_not_ended_by_a_timer_that_never_fires() -> None:
    """Nothing is left to wait for: neither a timer nor a counter."""
    with made(pmu=False) as machine:
        machine.set_one_reg(id_of("cntv_ctl_el0"), 1)
        machine.set_one_reg(id_of("cntv_ctl_el0"), 0)
        assert stored(machine, NOP, x0=5) == 5


def test_each_vcpu_counts_for_itself() -> None:
    with made(vcpus=2) as machine:
        for number in (0, 1):
            machine.select(number)
            initialise(machine)
            machine.set_one_reg(id_of("pmevtyper0_el0"), 8)
            machine.set_one_reg(id_of("pmevcntr0_el0"), 100 * number)
            machine.set_one_reg(id_of("pmcntenset_el0"), 1)
            machine.set_one_reg(id_of("pmcr_el0"), 0x3001)
        found = []
        for number in (0, 1, 0):
            machine.select(number)
            found.append(stored(machine, NOP, MRS_PMEVCNTR0))
    assert found[:2] == [2, 102]
    assert 2 < found[2] < 100


@pytest.mark.parametrize("word", PAST_THE_TRAP.values(), ids=PAST_THE_TRAP)
def test_a_counter_of_the_host_at_el0_is_told(word: int) -> None:
    """What is in it is what the last guest of the host left, with or without a PMU of this one: of
    PMXEVCNTR_EL0 the lab's 6.12 gave 0 after its boot, and 0xdbadc0de after scenarios/pmu."""
    with made(pmu=False) as machine, pytest.raises(NotModelled, match="at EL0, which the recorded"):
        stored(machine, word, pstate=0x3C0)


def test_a_register_of_the_pmu_that_traps_at_el0_is_known() -> None:
    with made("5.10", pmu=False) as machine:
        assert stored(machine, 0xD53B_9C00, pstate=0x3C0, x0=5) == 0  # mrs x0, pmcr_el0

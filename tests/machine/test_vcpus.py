"""Several vCPUs on one CPU: each has its own state, and they share memory, code and time."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Literal

import pytest
from vcpu_scenario.case import Gic, Memslot
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.vmm.setup import add_gic

from tests.guests import binary

BASE = 0x4000_0000
UART = 0x900_0000


@pytest.fixture
def machine() -> Iterator[EmulatedMachine]:
    made = create("6.12")
    made.memory.add(Memslot(BASE, 0x10000))
    made.create_vcpus(3)
    for number in range(3):
        made.select(number)
        made.vcpu_init(("psci_0_2", "power_off") if number else ("psci_0_2",))
    made.select(0)
    yield made
    made.close()


def run(machine: EmulatedMachine) -> int:
    return machine.kvm_run(instructions=100_000, seconds=0.1)


def start(machine: EmulatedMachine, vcpu: int, pc: int) -> None:
    """As a VMM does that switches it on itself."""
    machine.select(vcpu)
    machine.set_mp_state(abi.KVM_MP_STATE_RUNNABLE)
    machine.set_one_reg(id_of("pc"), pc)


def test_a_vcpu_keeps_all_its_registers_while_others_run(machine: EmulatedMachine) -> None:
    names = ("x0", "x30", "sp", "sp_el0", "pc", "pstate", "vbar_el1", "tpidr_el0", "ttbr0_el1")
    for number in range(3):
        machine.select(number)
        for place, name in enumerate(names):
            value = 0x3C5 if name == "pstate" else 0x1000 * (place + 1) + 0x100000 * number
            machine.set_one_reg(id_of(name), value)
    for number in (1, 0, 2, 1):
        machine.select(number)
        for place, name in enumerate(names):
            value = 0x3C5 if name == "pstate" else 0x1000 * (place + 1) + 0x100000 * number
            assert machine.get_one_reg(id_of(name)) == value, (number, name)


def test_each_vcpu_has_its_own_affinity_and_page(machine: EmulatedMachine) -> None:
    pages = []
    for number in range(3):
        machine.select(number)
        assert machine.get_one_reg(id_of("mpidr_el1")) == 1 << 31 | number
        pages.append(id(machine.run))
    assert len(set(pages)) == 3


def test_one_that_is_off_waits_until_a_signal_comes(machine: EmulatedMachine) -> None:
    machine.select(2)
    assert machine.mp_state() == abi.KVM_MP_STATE_STOPPED
    assert run(machine) == -errno.EINTR
    assert machine.run.exit_reason == abi.KVM_EXIT_INTR


def test_an_access_that_is_not_complete_waits_for_its_own_vcpu(machine: EmulatedMachine) -> None:
    machine.memory.write(BASE, binary("mov x0, #0x09000000; ldr w1, [x0]; str w1, [x0]"))
    for number in range(2):
        start(machine, number, BASE)
        assert run(machine) == 0
        assert machine.run.exit_reason == abi.KVM_EXIT_MMIO
    for number, value in ((0, 0x11), (1, 0x22)):
        machine.select(number)
        machine.run.mmio.data[0] = value
        assert run(machine) == 0
        assert machine.run.mmio.is_write
        assert machine.run.mmio.data[0] == value


@pytest.mark.parametrize("version", [2, 3])
def test_a_private_interrupt_is_raised_at_one_vcpu_alone(
    machine: EmulatedMachine, version: Literal[2, 3]
) -> None:
    add_gic(machine.devices, Gic(version, 0x800_0000, redist=0x80A_0000, cpu=0x801_0000))
    ppi = abi.KVM_ARM_IRQ_TYPE_PPI << abi.KVM_ARM_IRQ_TYPE_SHIFT
    machine.irq_line(ppi | 1 << 16 | 20, 1)
    levels = []
    for vcpu in machine._vcpu.vm.vcpus:
        assert vcpu.gic is not None
        levels.append(vcpu.gic.irqs[20].line_level)
    assert levels == [False, True, False]
    with pytest.raises(KvmError):
        machine.irq_line(ppi | 3 << 16 | 20, 1)


def test_a_machine_that_had_several_leaves_nothing_for_the_next() -> None:
    several = create("6.12")
    several.create_vcpus(2)
    several.select(1)
    several.vcpu_init(())
    several.set_one_reg(id_of("x5"), 5)
    several.close()
    with_one = create("6.12")
    with_one.vcpu_init(())
    assert with_one.get_one_reg(id_of("x5")) == 0
    assert with_one.get_one_reg(id_of("mpidr_el1")) == 1 << 31
    with_one.close()


def test_what_describes_the_vm_is_settled_once_one_of_its_vcpus_has_run() -> None:
    machine = create("6.12")
    machine.memory.add(Memslot(BASE, 0x10000))
    machine.create_vcpus(2)
    for number in range(2):
        machine.select(number)
        machine.vcpu_init(("psci_0_2",))
    start(machine, 0, BASE)
    run(machine)
    machine.select(1)
    for name in ("id_aa64mmfr0_el1", "std_bmap"):
        reg = id_of(name)
        machine.set_one_reg(reg, machine.get_one_reg(reg))
        with pytest.raises(KvmError) as refused:
            machine.set_one_reg(reg, 0)
        assert refused.value.errno == errno.EBUSY
    machine.close()


def test_an_id_register_that_is_written_is_that_of_all_vcpus(machine: EmulatedMachine) -> None:
    reg = id_of("id_aa64mmfr0_el1")
    fewer = machine.get_one_reg(reg) - 1  # bits of physical addresses
    machine.set_one_reg(reg, fewer)
    machine.select(2)
    assert machine.get_one_reg(reg) == fewer


def test_a_line_of_another_vcpu_is_not_raised_at_this_one(machine: EmulatedMachine) -> None:
    machine.select(1)
    with pytest.raises(NotModelled):
        machine.irq_line(0, 1)
    with pytest.raises(KvmError):
        machine.irq_line(3 << 16, 1)
    machine.irq_line(1 << 16, 1)


def test_each_vcpu_is_reset_with_the_features_of_its_own(machine: EmulatedMachine) -> None:
    features = []
    for number in range(2):
        machine.select(number)
        features.append(machine.features)
    assert features == [("psci_0_2",), ("psci_0_2", "power_off")]


def test_a_reset_by_the_vmm_begins_where_another_vcpu_switched_the_vcpu_on(
    machine: EmulatedMachine,
) -> None:
    """``kvm_reset_vcpu``: for whatever it is called. An odd address is no other one in AArch64."""
    entry = BASE + 0x1001
    machine.memory.write(BASE, binary("hvc #0"))
    for name, value in (("x0", 0xC400_0003), ("x1", 1), ("x2", entry), ("x3", 7), ("pc", BASE)):
        machine.set_one_reg(id_of(name), value)
    run(machine)
    assert machine.get_one_reg(id_of("x0")) == 0
    machine.select(1)
    machine.vcpu_init(machine.features)
    assert machine.get_one_reg(id_of("pc")) == entry
    assert machine.get_one_reg(id_of("x0")) == 7


def test_the_only_vcpu_of_a_vm_may_be_selected() -> None:
    machine = create("6.12")
    machine.select(0)
    assert machine.mp_state() == abi.KVM_MP_STATE_RUNNABLE
    machine.close()

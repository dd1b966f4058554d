"""The vGIC's device attributes, as six kernels of Debian answered for each register."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY, EINVAL, ENXIO
from functools import partial
from typing import Final

import pytest
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.devices import Irqfd, SetGsiRouting
from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import KvmError, NotModelled

vgic = partial(DeviceAttr, "vgic")
DIST: Final = attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS
REDIST: Final = attrs.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
SYSREGS: Final = attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
CPU: Final = attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS
LEVELS: Final = attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO

ABSENT_V3: Final = (0x20, 0x8C, 0x10C, 0x460, 0x860, 0x6300, 0xFF00)
"""Offsets at which the distributor of 96 interrupts has nothing."""


def made(kernel: str, version: int) -> EmulatedMachine:
    machine = create(kernel)
    machine.vcpu_init(("psci_0_2",))
    if version == 3:
        machine.devices.create_vgic(3)
        machine.devices.set(vgic(0, 2), 0x0800_0000)
        machine.devices.set(vgic(0, 3), 0x080A_0000)
    else:
        machine.devices.create_vgic(2)
        machine.devices.set(vgic(0, 0), 0x0800_0000)
        machine.devices.set(vgic(0, 1), 0x0801_0000)
    machine.devices.set(vgic(3, 0), 96)
    machine.devices.set(vgic(4, 0), None)
    return machine


@pytest.fixture
def gicv3() -> Iterator[EmulatedMachine]:
    machine = made("6.12", 3)
    yield machine
    machine.close()


def refusal(ask: object, *arguments: object) -> int:
    assert callable(ask)
    with pytest.raises(KvmError) as refused:
        ask(*arguments)
    return refused.value.errno


@pytest.mark.parametrize("offset", ABSENT_V3)
def test_an_absent_register_reads_0_takes_writes_and_is_not_had(
    gicv3: EmulatedMachine, offset: int
) -> None:
    gicv3.devices.set(vgic(DIST, offset), 0xFFFF_FFFF)
    assert gicv3.devices.get(vgic(DIST, offset)) == 0
    assert refusal(gicv3.devices.has, vgic(DIST, offset)) == ENXIO


@pytest.mark.parametrize(
    ("group", "offset", "before", "after"),
    [
        (DIST, 0x0, 0x50, 0x52),
        (DIST, 0x104, 0, 0xFFFF_FFFF),
        (DIST, 0x204, 0, 0xFFFF_FFFF),
        (DIST, 0x284, 0, 0),
        (DIST, 0x304, 0, 0xFFFF_FFFF),
        (DIST, 0x420, 0, 0xF8F8_F8F8),
        (DIST, 0x800, 0, 0),
        (DIST, 0x6100, 0, 0x00FF_FFFF),
        (DIST, 0x6104, 0, 0),
        (REDIST, 0x70, 0, 0xFFFF_FF9F),
        (REDIST, 0x74, 0, 0x000F_FFFF),
        (REDIST, 0x78, 0x580, 0xFFFF_0F80),
        (REDIST, 0x10100, 0xFFFF, 0xFFFF_FFFF),
        (REDIST, 0x10C00, 0xAAAA_AAAA, 0xAAAA_AAAA),
    ],
)
def test_a_register_keeps_of_ones_what_it_has(
    gicv3: EmulatedMachine, group: int, offset: int, before: int, after: int
) -> None:
    assert gicv3.devices.get(vgic(group, offset)) == before
    gicv3.devices.set(vgic(group, offset), 0xFFFF_FFFF)
    assert gicv3.devices.get(vgic(group, offset)) == after


def test_a_vcpu_that_is_not_there_has_no_registers_but_the_distributors(
    gicv3: EmulatedMachine,
) -> None:
    fifth = 5 << VCPU_SHIFT
    assert gicv3.devices.get(vgic(DIST, fifth | 4)) == 0x48_0002
    for group in (REDIST, SYSREGS, LEVELS):
        assert refusal(gicv3.devices.get, vgic(group, fifth)) == EINVAL


def test_what_the_machine_does_not_know_of_a_binary_point_it_says(
    gicv3: EmulatedMachine,
) -> None:
    attribute = attrs.GROUPS["cpu_sysregs"].attributes["ICC_BPR0_EL1"]
    with pytest.raises(NotModelled, match="binary point"):
        gicv3.devices.get(vgic(SYSREGS, attribute))
    with pytest.raises(NotModelled, match="which the CPU makes 2"):
        gicv3.devices.set(vgic(SYSREGS, attribute), 0)


def test_gicd_typer2_is_settled_by_the_initialisation() -> None:
    machine = create("7.2")
    machine.vcpu_init(("psci_0_2",))
    machine.devices.create_vgic(3)
    assert machine.devices.get(vgic(DIST, 0xC)) == 0
    machine.devices.set(vgic(DIST, 0xC), 0)
    assert refusal(machine.devices.set, vgic(DIST, 0xC), 0x100) == EINVAL
    assert refusal(machine.devices.get, vgic(DIST, 0x4)) == EBUSY
    machine.devices.set(vgic(4, 0), None)
    assert refusal(machine.devices.set, vgic(DIST, 0xC), 0x100) == EBUSY
    machine.close()


def test_the_cpu_interface_of_a_gicv2_has_its_identity() -> None:
    machine = made("6.12", 2)
    assert machine.devices.get(vgic(CPU, 0xFC)) == 0x04B2_043B
    assert refusal(machine.devices.has, vgic(CPU, 0x1000)) == ENXIO
    machine.close()


def test_an_irqfd_beyond_the_spis_raises_nothing(gicv3: EmulatedMachine) -> None:
    gicv3.irqfds.add(Irqfd(64))
    gicv3.irqfds.signal(64)
    assert gicv3.devices.get(vgic(DIST, 0x204)) == gicv3.devices.get(vgic(DIST, 0x208)) == 0


def test_routes_of_gsis_before_the_vgic_is_initialised_are_those_of_its_pins_after() -> None:
    machine = create("6.12")
    machine.vcpu_init(("psci_0_2",))
    machine.devices.create_vgic(3)
    machine.irqfds.route(SetGsiRouting(((8, 9),)))
    machine.devices.set(vgic(4, 0), None)
    machine.irqfds.add(Irqfd(8))
    machine.irqfds.signal(8)
    assert machine.devices.get(vgic(DIST, 0x204)) == 1 << 8
    machine.close()


def test_registers_were_never_seen_without_groups_of_interrupts() -> None:
    machine = made("4.18", 3)
    with pytest.raises(NotModelled, match="without groups"):
        machine.devices.get(vgic(DIST, 0))
    machine.close()

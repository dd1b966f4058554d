"""Sets a VM up for a case: the ioctls a VMM makes before its first ``KVM_RUN``."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.actions import perform
from vcpu_scenario.case import Case, Gic
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.kvm import vgicattrs as v
from vcpu_scenario.kvm.features import POWER_OFF, PSCI_0_2
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.interface import Devices, Machine

NR_IRQS: Final = 64
"""SGIs, PPIs and 32 SPIs: the fewest the device takes, hence GICD_TYPER.ITLinesNumber 1."""


class Asked:
    """``number`` of the action that is being done, from 1 on, of those before the first ``KVM_RUN``
    or after the last exit; 0 where none is."""

    number = 0
    done = 0
    """How many of those before the first ``KVM_RUN`` were done."""

    def left_of(self, case: Case) -> int:
        """How many of those of ``case`` the VMM has not come to."""
        return len(case.setup) + len(case.before) - max(self.number, self.done)


def set_up(machine: Machine, case: Case, asked: Asked | None = None) -> None:
    """Makes the VM that ``case`` describes, but for guest debug.

    Raises :class:`~vcpu_scenario.machine.errors.KvmError` where the kernel refuses.
    """
    asked = asked or Asked()
    for asked.number, action in enumerate(case.setup, 1):
        perform(machine, action)
    asked.number, asked.done = 0, len(case.setup)
    for slot in case.slots:
        machine.memory.add(slot)
    for load in case.loads:
        machine.memory.write(load.addr, load.data)
    equip(machine, case)
    for name, value in case.regs:
        machine.set_one_reg(id_of(name), value)


def equip(machine: Machine, case: Case) -> None:
    """All that ``case`` gives its VM but memory and the values of registers."""
    for cap in case.caps:
        machine.enable_cap(cap)
    machine.vcpu_init(features_of(case))
    if case.vcpus > 1:
        _add_vcpus(machine, case)
    if case.gic is not None:
        add_gic(machine.devices, case.gic)
    for ioeventfd in case.ioeventfds:
        machine.ioeventfds.add(ioeventfd)
    for zone in case.coalesced:
        machine.zones.add(zone.addr, zone.size)


def add_gic(devices: Devices, gic: Gic) -> None:
    """A vGIC with its addresses and the number of its interrupts, initialised."""
    devices.create_vgic(gic.version)
    if gic.version == 2:
        other = v.KVM_VGIC_V2_ADDR_TYPE_CPU, gic.cpu
        addresses = ((v.KVM_VGIC_V2_ADDR_TYPE_DIST, gic.dist), other)
    else:
        other = v.KVM_VGIC_V3_ADDR_TYPE_REDIST, gic.redist
        addresses = ((v.KVM_VGIC_V3_ADDR_TYPE_DIST, gic.dist), other)
    for kind, address in addresses:
        devices.set(DeviceAttr("vgic", v.KVM_DEV_ARM_VGIC_GRP_ADDR, kind), address)
    devices.set(DeviceAttr("vgic", v.KVM_DEV_ARM_VGIC_GRP_NR_IRQS), NR_IRQS)
    initialise = DeviceAttr("vgic", v.KVM_DEV_ARM_VGIC_GRP_CTRL, v.KVM_DEV_ARM_VGIC_CTRL_INIT)
    devices.set(initialise, None)


def _add_vcpus(machine: Machine, case: Case) -> None:
    machine.create_vcpus(case.vcpus)
    for number in range(1, case.vcpus):
        machine.select(number)
        machine.vcpu_init((*features_of(case), POWER_OFF))
    machine.select(0)


def features_of(case: Case) -> tuple[str, ...]:
    """What ``KVM_ARM_VCPU_INIT`` asks for."""
    return (*case.features, PSCI_0_2) if case.psci_0_2 else case.features

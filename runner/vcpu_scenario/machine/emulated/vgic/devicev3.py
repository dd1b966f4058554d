"""A vGICv3 as a device: registers, and the levels of lines, by attributes."""

from __future__ import annotations

from errno import EBUSY, EFAULT, EINVAL, ENXIO
from typing import Final

from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT
from vcpu_scenario.machine.emulated.vgic import cpuregs
from vcpu_scenario.machine.emulated.vgic.device import OFFSET, VgicDevice
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, NR_SGIS, VIRTUAL_TIMER_PPI
from vcpu_scenario.machine.emulated.vgic.lpis import save_pending
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.emulated.vgic.placement import PlacementV3
from vcpu_scenario.machine.emulated.vgic.v3 import VgicV3
from vcpu_scenario.machine.errors import NotModelled

_IIDR: Final = 0x8
_TYPER2: Final = 0xC
_INFO: Final = 0x3F_FFFF
"""Above the INTID, which kind of information ``KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO`` is about: the
lines' levels are the only one."""


class DeviceV3(VgicDevice[VgicV3]):
    """``kvm_arm_vgic_v3_ops``."""

    version = 3

    places: PlacementV3

    def _placement(self, features: VgicFeatures) -> PlacementV3:
        return PlacementV3(features, len(self._vcpus()))

    def _interface(self, first: VgicV3 | None, features: VgicFeatures, number: int) -> VgicV3:
        made = VgicV3(None, features, None if first is None else first.distributor, number)
        made.is_last = lambda: self.places.is_last(made.index)
        return made

    def _register_groups(self) -> tuple[int, ...]:
        return (
            attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
            attrs.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
            attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
            attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
        )

    def _controls(self) -> tuple[int, ...]:
        return (attrs.KVM_DEV_ARM_VGIC_CTRL_INIT, attrs.KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES)

    def _has_maintenance_ppi(self) -> bool:
        return self.places.features.maintenance_ppi

    def _control(self, attr: int) -> None:
        if attr != attrs.KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES:
            super()._control(attr)
        elif self.interfaces:
            save_pending(self.interfaces[0].distributor)
        elif self.places.features.saving_needs_init:
            raise Refused(ENXIO)

    def _vcpu(self, group: int, attr: int) -> int:
        """``vgic_v3_parse_attr``: the place of a vCPU; the distributor's registers are nobody's."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS:
            return 0
        place = self.at(attr >> VCPU_SHIFT)
        if place is None:
            raise Refused(EINVAL)
        return place

    def _has(self, group: int, attr: int) -> bool:
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO:
            return not attr >> 10 & _INFO
        self._vcpu(group, attr)
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS:
            cpuregs.has_sysreg(attr & 0xFFFF)
            return True
        scratch = VgicV3(None, self._features(self.nr_irqs or NR_PRIVATE_IRQS))
        redistributor = group == attrs.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
        registers = scratch.redist_registers if redistributor else scratch.dist_registers
        return self._has_register(registers, attr & OFFSET)

    def _early(self, group: int, attr: int, written: int) -> int:
        """An access before the vGIC is initialised, which only what the VMM may choose allows."""
        offset = attr & OFFSET
        of_distributor = group == attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS
        if not of_distributor or not self.places.features.typer2_is_settled:
            raise Refused(EBUSY)
        if offset == _IIDR:
            raise NotModelled("GICD_IIDR before the vGIC is initialised")
        if offset != _TYPER2:
            raise Refused(EBUSY)
        if written:
            raise Refused(EINVAL)
        return 0

    def _read(self, group: int, attr: int) -> int:
        vcpu = self._vcpu(group, attr)
        if not self.interfaces:
            return self._early(group, attr, 0)
        gic, offset = self.interfaces[vcpu], attr & OFFSET
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO:
            return _levels(gic, _first_of_levels(attr))
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS:
            return cpuregs.read_sysreg(gic, attr & 0xFFFF, self.ran(vcpu))
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS:
            return gic.redist_registers.user_read(gic, offset)
        return gic.dist_registers.user_read(gic, offset)

    def _write(self, group: int, attr: int, value: int | None) -> None:
        vcpu = self._vcpu(group, attr)
        sysregs = group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
        if value is None and not sysregs:
            raise Refused(EFAULT)
        if not self.interfaces:
            self._early(group, attr, value or 0)
            return
        gic, offset = self.interfaces[vcpu], attr & OFFSET
        if sysregs:
            cpuregs.write_sysreg(gic, attr & 0xFFFF, value)
            return
        assert value is not None
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO:
            _set_levels(gic, _first_of_levels(attr), value)
        elif group == attrs.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS:
            gic.redist_registers.user_write(gic, offset, value)
        else:
            gic.dist_registers.user_write(gic, offset, value)


def _first_of_levels(attr: int) -> int:
    intid = attr & 0x3FF
    if attr >> 10 & _INFO or intid % 32:
        raise Refused(EINVAL)
    return intid


def _levels(gic: VgicV3, first: int) -> int:
    """``vgic_read_irq_line_level_info``: SGIs have no line."""
    return sum(
        1 << irq.intid - first
        for irq in gic.irqs[first : first + 32]
        if irq.intid >= NR_SGIS and not irq.edge and irq.line_level
    )


def _set_levels(gic: VgicV3, first: int, value: int) -> None:
    for irq in gic.irqs[first : first + 32]:
        level = bool(value >> irq.intid - first & 1)
        if irq.intid < NR_SGIS:
            continue
        if (irq.tied or irq.intid == VIRTUAL_TIMER_PPI) and level:
            raise NotModelled(f"a VMM that raises a timer's interrupt, {irq.intid}")
        irq.line_level = level
        if level:
            gic.queue(irq)

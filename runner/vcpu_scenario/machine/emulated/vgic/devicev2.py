"""A vGICv2 as a device: its distributor's and CPU interfaces' registers by attributes."""

from __future__ import annotations

from errno import EFAULT, EINVAL

from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT
from vcpu_scenario.machine.emulated.vgic import cpuregs
from vcpu_scenario.machine.emulated.vgic.device import OFFSET, VgicDevice
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.emulated.vgic.placement import PlacementV2
from vcpu_scenario.machine.emulated.vgic.v2 import VgicV2
from vcpu_scenario.machine.errors import NotModelled


class DeviceV2(VgicDevice[VgicV2]):
    """``kvm_arm_vgic_v2_ops``."""

    version = 2

    places: PlacementV2

    def _placement(self, features: VgicFeatures) -> PlacementV2:
        return PlacementV2(features)

    def _interface(self, first: VgicV2 | None, features: VgicFeatures, number: int) -> VgicV2:
        if number != len(self.interfaces):
            raise NotModelled("a vGICv2 of vCPUs that were created out of order")
        return VgicV2(None, features, None if first is None else first.distributor)

    def _register_groups(self) -> tuple[int, ...]:
        return attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS

    def _vcpu(self, attr: int) -> int:
        vcpu = attr >> VCPU_SHIFT & 0xFF
        if vcpu not in self._vcpus():
            raise Refused(EINVAL)
        return vcpu

    def _has(self, group: int, attr: int) -> bool:
        self._vcpu(attr)
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
            cpuregs.has_gicc(self.places.features, attr & OFFSET)
            return True
        scratch = VgicV2(None, self._features(self.nr_irqs or NR_PRIVATE_IRQS))
        return self._has_register(scratch.dist_registers, attr & OFFSET)

    def _read(self, group: int, attr: int) -> int:
        vcpu = self._vcpu(attr)
        self.init()
        gic, offset = self.interfaces[vcpu], attr & OFFSET
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
            return cpuregs.read_gicc(gic, offset, self.ran(vcpu))
        return gic.dist_registers.user_read(gic, offset)

    def _write(self, group: int, attr: int, value: int | None) -> None:
        vcpu = self._vcpu(attr)
        if value is None:
            raise Refused(EFAULT)
        self.init()
        gic, offset = self.interfaces[vcpu], attr & OFFSET
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
            cpuregs.write_gicc(gic, offset, value)
        else:
            gic.dist_registers.user_write(gic, offset, value)

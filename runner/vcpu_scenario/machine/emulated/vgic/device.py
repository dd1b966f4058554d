"""The vGIC as a device of the VM: what ``KVM_CREATE_DEVICE`` gives, and its attributes.

After ``vgic-kvm-device.c`` and ``vgic-init.c``. A device knows its vCPUs by their
numbers, in the order in which they were created, which may be before it or after.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from errno import EBUSY, EFAULT, EINVAL, ENXIO
from typing import Final, Generic, TypeVar

from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.kvm.deviceattrs import VCPU_SHIFT
from vcpu_scenario.machine.emulated.vgic import cpuregs
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, NR_SGIS, VIRTUAL_TIMER_PPI
from vcpu_scenario.machine.emulated.vgic.mmio import Refused, Registers
from vcpu_scenario.machine.emulated.vgic.placement import Placement, PlacementV2, PlacementV3
from vcpu_scenario.machine.emulated.vgic.v2 import VgicV2
from vcpu_scenario.machine.emulated.vgic.v3 import VgicV3
from vcpu_scenario.machine.interface import NotModelled

_LEGACY_IRQS: Final = 256
"""How many interrupts there are where nobody said how many."""
_MOST_IRQS: Final = 1024
_OFFSET: Final = 0xFFFF_FFFF
_MAINT_IRQ: Final = 9
"""``KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ``."""

_Interface = TypeVar("_Interface", VgicV2, VgicV3)


class VgicDevice(ABC, Generic[_Interface]):
    """A vGIC of a VM with ``vcpus``; ``initialised`` is told when it becomes so. What userspace
    asks of it may raise :class:`Refused`."""

    version: int
    places: Placement

    def __init__(
        self,
        features: Callable[[int], VgicFeatures],
        vcpus: Callable[[], Sequence[int]],
        initialised: Callable[[], None],
    ) -> None:
        """``features`` makes a vGIC's of the number of its interrupts."""
        self._features: Final = features
        self._vcpus: Final = vcpus
        self._initialised: Final = initialised
        self.nr_irqs: int | None = None
        self.interfaces: list[_Interface] = []
        """Those of the vCPUs, by their numbers, none before it is initialised."""
        self.mapped = False
        """Whether the guest can reach it: a vCPU has run."""
        self.ran: Callable[[int], bool] = lambda vcpu: False
        """Whether a vCPU has run."""
        self.at: Callable[[int], int | None] = lambda affinity: None
        """The place of the vCPU with an affinity, among all."""

    @abstractmethod
    def _interface(
        self, first: _Interface | None, features: VgicFeatures, number: int
    ) -> _Interface: ...

    def init(self) -> None:
        """``vgic_init``."""
        if self.interfaces:
            return
        self.nr_irqs = self.nr_irqs or _LEGACY_IRQS
        features = self._features(self.nr_irqs)
        for number in self._vcpus():
            first = self.interfaces[0] if self.interfaces else None
            self.interfaces.append(self._interface(first, features, number))
        self._initialised()

    # -- attributes -------------------------------------------------------------------------------

    def set(self, group: int, attr: int, value: int | None) -> None:
        """``KVM_SET_DEVICE_ATTR``; None where there is no address to read a value from."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_ADDR:
            if value is None:
                raise Refused(EFAULT)
            self.places.set(attr, value)
        elif group == attrs.KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
            self._set_nr_irqs(value)
        elif group == attrs.KVM_DEV_ARM_VGIC_GRP_CTRL:
            self._control(attr)
        elif group == _MAINT_IRQ and self.places.features.maintenance_ppi:
            raise NotModelled("KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ that is set")
        elif group in self._register_groups():
            self._write(group, attr, value)
        else:
            raise Refused(ENXIO)

    def get(self, group: int, attr: int, given: int) -> int:
        """``KVM_GET_DEVICE_ATTR``, where ``given`` is in the place of the value."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_ADDR:
            return self.places.get(attr, given)
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
            return self.nr_irqs or NR_PRIVATE_IRQS
        if group == _MAINT_IRQ and self.places.features.maintenance_ppi:
            raise NotModelled("KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ that is read")
        if group in self._register_groups():
            return self._read(group, attr)
        raise Refused(ENXIO)

    def has(self, group: int, attr: int) -> None:
        """``KVM_HAS_DEVICE_ATTR``."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_ADDR:
            known = attr in self.places.kinds
        elif group == attrs.KVM_DEV_ARM_VGIC_GRP_CTRL:
            known = attr in self._controls()
        elif group in self._register_groups():
            known = self._has(group, attr)
        else:
            known = group == attrs.KVM_DEV_ARM_VGIC_GRP_NR_IRQS
            known |= group == _MAINT_IRQ and self._has_maintenance_ppi()
        if not known:
            raise Refused(ENXIO)

    def _set_nr_irqs(self, value: int | None) -> None:
        if value is None:
            raise Refused(EFAULT)
        if value % 32 or not NR_PRIVATE_IRQS + 32 <= value <= _MOST_IRQS:
            raise Refused(EINVAL)
        if value == _MOST_IRQS:
            raise NotModelled("a vGIC of 1024 interrupts, of which the last four are special")
        if self.nr_irqs is not None or self.mapped:
            raise Refused(EBUSY)
        self.nr_irqs = value

    def _control(self, attr: int) -> None:
        if attr != attrs.KVM_DEV_ARM_VGIC_CTRL_INIT:
            raise Refused(ENXIO)
        self.init()

    def _controls(self) -> tuple[int, ...]:
        return (attrs.KVM_DEV_ARM_VGIC_CTRL_INIT,)

    def _has_maintenance_ppi(self) -> bool:
        return False

    @abstractmethod
    def _register_groups(self) -> tuple[int, ...]: ...

    @abstractmethod
    def _has(self, group: int, attr: int) -> bool: ...

    @abstractmethod
    def _read(self, group: int, attr: int) -> int: ...

    @abstractmethod
    def _write(self, group: int, attr: int, value: int | None) -> None: ...

    def _has_register(self, registers: Registers, offset: int) -> bool:
        return registers.find(offset, 4, self.nr_irqs or NR_PRIVATE_IRQS) is not None


class DeviceV2(VgicDevice[VgicV2]):
    """``kvm_arm_vgic_v2_ops``."""

    version = 2

    def __init__(
        self,
        features: Callable[[int], VgicFeatures],
        vcpus: Callable[[], Sequence[int]],
        initialised: Callable[[], None],
    ) -> None:
        super().__init__(features, vcpus, initialised)
        self.places: PlacementV2 = PlacementV2(features(_LEGACY_IRQS))

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
            cpuregs.has_gicc(self.places.features, attr & _OFFSET)
            return True
        scratch = VgicV2(None, self._features(self.nr_irqs or NR_PRIVATE_IRQS))
        return self._has_register(scratch.dist_registers, attr & _OFFSET)

    def _read(self, group: int, attr: int) -> int:
        vcpu = self._vcpu(attr)
        self.init()
        gic, offset = self.interfaces[vcpu], attr & _OFFSET
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
            return cpuregs.read_gicc(gic, offset, self.ran(vcpu))
        return gic.dist_registers.user_read(gic, offset)

    def _write(self, group: int, attr: int, value: int | None) -> None:
        vcpu = self._vcpu(attr)
        if value is None:
            raise Refused(EFAULT)
        self.init()
        gic, offset = self.interfaces[vcpu], attr & _OFFSET
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
            cpuregs.write_gicc(gic, offset, value)
        else:
            gic.dist_registers.user_write(gic, offset, value)


_IIDR: Final = 0x8
_TYPER2: Final = 0xC
_INFO: Final = 0x3F_FFFF
"""Above the INTID, which kind of information ``KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO`` is about: the
lines' levels are the only one."""


class DeviceV3(VgicDevice[VgicV3]):
    """``kvm_arm_vgic_v3_ops``."""

    version = 3

    def __init__(
        self,
        features: Callable[[int], VgicFeatures],
        vcpus: Callable[[], Sequence[int]],
        initialised: Callable[[], None],
    ) -> None:
        super().__init__(features, vcpus, initialised)
        self.places: PlacementV3 = PlacementV3(features(_LEGACY_IRQS), len(vcpus()))

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
        elif not self.interfaces and self.places.features.saving_needs_init:
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
        return self._has_register(registers, attr & _OFFSET)

    def _early(self, group: int, attr: int, written: int) -> int:
        """An access before the vGIC is initialised, which only what the VMM may choose allows."""
        offset = attr & _OFFSET
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
        gic, offset = self.interfaces[vcpu], attr & _OFFSET
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
        gic, offset = self.interfaces[vcpu], attr & _OFFSET
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
        if irq.intid == VIRTUAL_TIMER_PPI and level:
            raise NotModelled(f"a VMM that raises the virtual timer's interrupt, {irq.intid}")
        irq.line_level = level
        if level:
            gic.queue(irq)

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
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS
from vcpu_scenario.machine.emulated.vgic.mmio import Refused, Registers
from vcpu_scenario.machine.emulated.vgic.placement import Placement
from vcpu_scenario.machine.emulated.vgic.v2 import VgicV2
from vcpu_scenario.machine.emulated.vgic.v3 import VgicV3
from vcpu_scenario.machine.errors import NotModelled

_LEGACY_IRQS: Final = 256
"""How many interrupts there are where nobody said how many."""
_MOST_IRQS: Final = 1024
OFFSET: Final = 0xFFFF_FFFF
"""Of a register, in an attribute."""
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
        self.places = self._placement(features(_LEGACY_IRQS))
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
    def _placement(self, features: VgicFeatures) -> Placement: ...

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

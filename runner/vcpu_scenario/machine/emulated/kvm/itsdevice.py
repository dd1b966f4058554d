"""An ITS as a device of the VM: its attributes, and its place on the bus."""

from __future__ import annotations

from collections.abc import Callable
from errno import EFAULT, ENODEV, ENXIO
from typing import Final

from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.machine.emulated.kvm.bus import IoBus
from vcpu_scenario.machine.emulated.vgic.distributor import GuestMemory
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.its import registers, saving
from vcpu_scenario.machine.emulated.vgic.its.state import Its
from vcpu_scenario.machine.emulated.vgic.lpis import Lpis
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.emulated.vgic.placement import UNDEFINED, check_range
from vcpu_scenario.machine.emulated.vgic.tablebase import INITIAL

_ALIGNMENT: Final = 0x1_0000
_CONTROLS: Final = (
    attrs.KVM_DEV_ARM_VGIC_CTRL_INIT,
    attrs.KVM_DEV_ARM_ITS_SAVE_TABLES,
    attrs.KVM_DEV_ARM_ITS_RESTORE_TABLES,
    attrs.KVM_DEV_ARM_ITS_CTRL_RESET,
)


class ItsDevice:
    """``kvm_arm_vgic_its_ops``."""

    def __init__(
        self,
        memory: GuestMemory,
        bus: IoBus,
        features: VgicFeatures,
        initialised: Callable[[], Lpis | None],
    ) -> None:
        self._bus: Final = bus
        self.its: Final = Its(memory, features, initialised)

    def join(self, lpis: Lpis) -> None:
        """The VM has a vGIC and this ITS, the last of those that there are."""
        lpis.memory, lpis.propbaser = self.its.memory, INITIAL

    def read(self, ipa: int, length: int) -> int | None:
        assert self.its.base is not None
        return registers.read(self.its, ipa - self.its.base, length)

    def write(self, ipa: int, length: int, value: int) -> bool:
        assert self.its.base is not None
        registers.write(self.its, ipa - self.its.base, length, value)
        return True

    def may_be_cached(self, address: int) -> bool:
        """Whether KVM looks into its cache for an MSI that goes to ``address``, where this is."""
        assert self.its.base is not None
        exact = address == self.its.base + registers.TRANSLATER
        return exact or self.its.features.its_caches_apart

    def set(self, group: int, attr: int, value: int | None) -> None:
        """``vgic_its_set_attr``."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_CTRL:
            self._control(attr)
        elif group == attrs.KVM_DEV_ARM_VGIC_GRP_ADDR:
            if attr != attrs.KVM_VGIC_ITS_ADDR_TYPE:
                raise Refused(ENODEV)
            self._place(value)
        elif group != attrs.KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
            raise Refused(ENXIO)
        elif value is None:
            raise Refused(EFAULT)
        else:
            registers.user_write(self.its, attr, value)

    def get(self, group: int, attr: int, given: int) -> int:
        """``vgic_its_get_attr``."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
            return registers.user_read(self.its, attr)
        if group != attrs.KVM_DEV_ARM_VGIC_GRP_ADDR:
            raise Refused(ENXIO)
        if attr != attrs.KVM_VGIC_ITS_ADDR_TYPE:
            raise Refused(ENODEV)
        return UNDEFINED if self.its.base is None else self.its.base

    def has(self, group: int, attr: int) -> None:
        """``vgic_its_has_attr``."""
        if group == attrs.KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
            registers.check_user(attr)
        elif not (
            (group == attrs.KVM_DEV_ARM_VGIC_GRP_ADDR and attr == attrs.KVM_VGIC_ITS_ADDR_TYPE)
            or (group == attrs.KVM_DEV_ARM_VGIC_GRP_CTRL and attr in _CONTROLS)
        ):
            raise Refused(ENXIO)

    def _control(self, attr: int) -> None:
        """``vgic_its_ctrl``."""
        if attr == attrs.KVM_DEV_ARM_ITS_CTRL_RESET:
            self.its.reset()
        elif attr == attrs.KVM_DEV_ARM_ITS_SAVE_TABLES:
            saving.save(self.its)
        elif attr == attrs.KVM_DEV_ARM_ITS_RESTORE_TABLES:
            saving.restore(self.its)
        elif attr not in _CONTROLS and self.its.features.its_control_checked:
            raise Refused(ENXIO)

    def _place(self, base: int | None) -> None:
        if base is None:
            raise Refused(EFAULT)
        check_range(base, registers.FRAMES, _ALIGNMENT, self.its.features, self.its.base)
        self.its.base = base
        self._bus.register(base, registers.FRAMES, self)

"""The ITSs of a VM: their attributes, and ``KVM_SIGNAL_MSI``."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.ioctls.devices import GetItsAttr, HasItsAttr, SetItsAttr, SignalMsi
from vcpu_scenario.kvm.vgicattrs import its_said
from vcpu_scenario.machine.real import uapi, vgic
from vcpu_scenario.machine.real.ioctls import call


class Itses:
    """Their files, in the order in which they were created."""

    def __init__(self, vm: int) -> None:
        self._vm: Final = vm
        self._files: Final[list[int]] = []

    def add(self, file: int) -> None:
        self._files.append(file)

    def set(self, asked: SetItsAttr) -> None:
        vgic.set_attribute(self._of(asked), asked.group, asked.attr, asked.value, _said(asked))

    def get(self, asked: GetItsAttr) -> int:
        return vgic.get_attribute(self._of(asked), asked.group, asked.attr, 0, _said(asked))

    def has(self, asked: HasItsAttr) -> None:
        vgic.has_attribute(self._of(asked), asked.group, asked.attr, _said(asked))

    def signal(self, asked: SignalMsi) -> bool:
        request = uapi.kvm_msi(
            address_lo=asked.address & 0xFFFF_FFFF,
            address_hi=asked.address >> 32,
            data=asked.data,
            flags=0 if asked.device is None else uapi.KVM_MSI_VALID_DEVID,
            devid=asked.device or 0,
        )
        return call(self._vm, uapi.KVM_SIGNAL_MSI, request, "KVM_SIGNAL_MSI") > 0

    def _of(self, asked: SetItsAttr | GetItsAttr | HasItsAttr) -> int:
        """Its file; -1, which is none, where there are not so many."""
        return self._files[asked.its] if asked.its < len(self._files) else -1


def _said(asked: SetItsAttr | GetItsAttr | HasItsAttr) -> str:
    return f"its {its_said(asked.group, asked.attr)}"

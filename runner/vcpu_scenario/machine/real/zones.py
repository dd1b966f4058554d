"""``KVM_REGISTER_COALESCED_MMIO``."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call


class CoalescedZones:
    """Those of one VM."""

    def __init__(self, vm: int) -> None:
        self._vm: Final = vm

    def add(self, addr: int, size: int) -> None:
        zone = uapi.kvm_coalesced_mmio_zone(addr=addr, size=size)
        call(self._vm, uapi.KVM_REGISTER_COALESCED_MMIO, zone, "KVM_REGISTER_COALESCED_MMIO")

    def remove(self, addr: int, size: int) -> None:
        zone = uapi.kvm_coalesced_mmio_zone(addr=addr, size=size)
        call(self._vm, uapi.KVM_UNREGISTER_COALESCED_MMIO, zone, "KVM_UNREGISTER_COALESCED_MMIO")

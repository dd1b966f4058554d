"""Coalesced MMIO: the zones whose writes KVM keeps in a ring (``coalesced_mmio.c``)."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.bus import BusDevice, IoBus


class CoalescedZoneDevice:
    """A coalesced zone: writes go to the ring until it is full."""

    def __init__(self, ring: abi.kvm_coalesced_mmio_ring, *, filled: bool) -> None:
        self._ring = ring
        self._filled = filled

    def read(self, ipa: int, length: int) -> int | None:
        return None

    def write(self, ipa: int, length: int, value: int) -> bool:
        ring = self._ring
        last = ring.last
        if last >= abi.COALESCED_RING_MAX or not self._has_room(last):
            return False
        entry = ring.coalesced_mmio[last]
        entry.phys_addr, entry.len, entry.pio = ipa, length, 0
        # The kernel copies `length` bytes: what an older entry left beyond them stays.
        entry.data[:length] = value.to_bytes(length, "little")
        ring.last = (last + 1) % abi.COALESCED_RING_MAX
        return True

    def _has_room(self, last: int) -> bool:
        first: int = self._ring.first
        if self._filled:
            return (last + 1) % abi.COALESCED_RING_MAX != first
        # Unsigned arithmetic modulo a number that is no power of two: from an empty ring at
        # index 0 only 85 entries fit.
        avail: int = ((first - last - 1) & 0xFFFFFFFF) % abi.COALESCED_RING_MAX
        return avail > 0


class CoalescedZones:
    """Those of one VM, on its bus."""

    def __init__(self, bus: IoBus, ring: abi.kvm_coalesced_mmio_ring, *, filled: bool) -> None:
        self._bus: Final = bus
        self._ring: Final = ring
        self._filled: Final = filled

    def add(self, addr: int, size: int) -> None:
        if not size:
            return  # no write lies within it
        # `int len` of kvm_io_bus_register_dev: from 2 GiB on it is negative, and no access is in
        # it, unless that makes the end wrap around.
        negative = size >> 31 << 32
        if addr + size >= negative:
            size -= negative
        self._bus.register(addr, size, CoalescedZoneDevice(self._ring, filled=self._filled))

    def remove(self, addr: int, size: int) -> None:
        """``kvm_vm_ioctl_unregister_coalesced_mmio``: every zone that holds all of the range."""

        def holds_it(place: range, device: BusDevice) -> bool:
            is_zone = isinstance(device, CoalescedZoneDevice)
            return is_zone and place.start <= addr and addr + size <= place.stop

        self._bus.unregister_all(holds_it)

"""The in-kernel MMIO bus: vGIC regions, ioeventfds, coalesced zones.

A device serves an access that lies wholly inside its range; the first that takes it wins, one
that declines (an ioeventfd whose width or value does not match) passes it on.
"""

from __future__ import annotations

from typing import Protocol

from runner.case import Ioeventfd
from runner.kvm import abi


class BusDevice(Protocol):
    """Something on the bus."""

    def read(self, ipa: int, length: int) -> int | None:
        """The value read, None where the device declines."""
        ...

    def write(self, ipa: int, length: int, value: int) -> bool: ...


class IoBus:
    """``KVM_MMIO_BUS`` of one VM."""

    def __init__(self) -> None:
        self._devices: list[tuple[int, int, BusDevice]] = []

    def register(self, base: int, size: int, device: BusDevice) -> None:
        self._devices.append((base, size, device))
        # The kernel keeps the bus sorted by address; among equals the first one stays first.
        self._devices.sort(key=lambda entry: entry[0])

    def _serving(self, ipa: int, length: int) -> list[BusDevice]:
        return [
            device
            for base, size, device in self._devices
            if (base <= ipa and ipa + length <= base + size) or (base == ipa and not size)
        ]

    def read(self, ipa: int, length: int) -> int | None:
        for device in self._serving(ipa, length):
            if (value := device.read(ipa, length)) is not None:
                return value
        return None

    def write(self, ipa: int, length: int, value: int) -> bool:
        return any(device.write(ipa, length, value) for device in self._serving(ipa, length))


class EventfdDevice:
    """An ioeventfd (``virt/kvm/eventfd.c``, ``ioeventfd_in_range``)."""

    def __init__(self, ioeventfd: Ioeventfd) -> None:
        self._spec = ioeventfd
        self.count = 0

    def read(self, ipa: int, length: int) -> int | None:
        return None

    def write(self, ipa: int, length: int, value: int) -> bool:
        spec = self._spec
        if ipa != spec.addr or (spec.len and length != spec.len):
            return False
        if spec.match is not None and value != spec.match & (1 << 8 * length) - 1:
            return False
        self.count += 1
        return True


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

"""The in-kernel MMIO bus: vGIC regions, ioeventfds, coalesced zones.

The kernel keeps the bus sorted, searches it by halves for a range that the access lies in, and
offers the access to that device and its neighbours, as far as they serve it too, until one takes
it (``kvm_io_bus_get_first_dev``). Where ranges overlap the order is no order, and the search may
miss a device that would have taken the access: so do the kernels that are emulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

Range: TypeAlias = tuple[int, int]
"""Address and size."""


def _compare(one: Range, other: Range) -> int:
    """``kvm_io_bus_cmp``: 0 where ``one`` lies in ``other``, or begins where that is, if that has
    no size."""
    start, end = one[0], other[0]
    if start < end:
        return -1
    if other[1]:
        start += one[1]
        end += other[1]
    return 1 if start > end else 0


class BusDevice(Protocol):
    """Something on the bus."""

    def read(self, ipa: int, length: int) -> int | None:
        """The value read, None where the device declines."""

    def write(self, ipa: int, length: int, value: int) -> bool: ...


class IoBus:
    """``KVM_MMIO_BUS`` of one VM."""

    def __init__(self) -> None:
        self._devices: list[tuple[Range, BusDevice]] = []
        self._known: dict[Range, list[BusDevice]] = {}
        """What earlier searches found."""

    def register(self, base: int, size: int, device: BusDevice) -> None:
        new = (base, size)
        at = next(
            (n for n, (old, _) in enumerate(self._devices) if _compare(old, new) > 0),
            len(self._devices),
        )
        self._devices.insert(at, (new, device))
        self._known.clear()

    def has(self, device: BusDevice) -> bool:
        return any(one is device for _, one in self._devices)

    def unregister(self, device: BusDevice) -> bool:
        """Takes ``device`` off; False where it is not on."""
        kept = [entry for entry in self._devices if entry[1] is not device]
        gone = len(kept) < len(self._devices)
        self._devices = kept
        self._known.clear()
        return gone

    def unregister_all(self, gone: Callable[[range, BusDevice], bool]) -> None:
        """Every device of whose range and itself ``gone`` says so."""
        for device in [d for (base, size), d in self._devices if gone(range(base, base + size), d)]:
            self.unregister(device)

    def _serving(self, ipa: int, length: int) -> list[BusDevice]:
        access = (ipa, length)
        found = self._known.get(access)
        if found is None:
            found = self._known[access] = self._search(access)
        return found

    def _search(self, access: Range) -> list[BusDevice]:
        devices = self._devices
        found = self._find(access)
        if found is None:
            return []
        first = end = found
        while first and not _compare(access, devices[first - 1][0]):
            first -= 1
        while end < len(devices) and not _compare(access, devices[end][0]):
            end += 1
        return [device for _, device in devices[first:end]]

    def _find(self, access: Range) -> int | None:
        """The index of some device that serves ``access``."""
        base, number = 0, len(self._devices)
        while number:
            middle = base + number // 2
            order = _compare(access, self._devices[middle][0])
            if not order:
                return middle
            if order > 0:
                base = middle + 1
                number -= 1
            number //= 2
        return None

    def device_at(self, ipa: int) -> BusDevice | None:
        """``kvm_io_bus_get_dev``."""
        return next(iter(self._serving(ipa, 1)), None)

    def read(self, ipa: int, length: int) -> int | None:
        for device in self._serving(ipa, length):
            if (value := device.read(ipa, length)) is not None:
                return value
        return None

    def write(self, ipa: int, length: int, value: int) -> bool:
        for device in self._serving(ipa, length):  # noqa: SIM110  any() costs as much as all else
            if device.write(ipa, length, value):
                return True
        return False

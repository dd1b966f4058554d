"""``KVM_IOEVENTFD``: which the kernel takes, and how often each was signalled."""

from __future__ import annotations

from errno import EBADF, EEXIST, EINVAL, ENOENT
from typing import Final

from vcpu_scenario.case import Ioeventfd
from vcpu_scenario.machine.emulated.kvm.bus import IoBus
from vcpu_scenario.machine.errors import KvmError

_HIGHEST: Final = (1 << 64) - 1


class EventfdDevice:
    """An ioeventfd (``virt/kvm/eventfd.c``, ``ioeventfd_in_range``): what is written is compared,
    zero-extended, with all 64 bits of the datamatch."""

    def __init__(self, ioeventfd: Ioeventfd) -> None:
        self._spec = ioeventfd
        self.count = 0

    def read(self, ipa: int, length: int) -> int | None:
        return None

    def write(self, ipa: int, length: int, value: int) -> bool:
        spec = self._spec
        if ipa != spec.addr or (spec.len and length != spec.len):
            return False
        if spec.match is not None and value != spec.match:
            return False
        self.count += 1
        return True


class Ioeventfds:
    """Those of one VM, on its bus."""

    def __init__(self, bus: IoBus) -> None:
        self._bus: Final = bus
        self._devices: list[tuple[Ioeventfd, EventfdDevice]] = []

    def add(self, ioeventfd: Ioeventfd) -> None:
        """Raises :class:`KvmError` where the kernel refuses it."""
        if not _sound(ioeventfd):
            raise KvmError(EINVAL, "KVM_IOEVENTFD")
        attached = (other for other, device in self._devices if self._bus.has(device))
        if any(_collide(ioeventfd, other) for other in attached):
            raise KvmError(EEXIST, "KVM_IOEVENTFD")
        device = EventfdDevice(ioeventfd)
        self._devices.append((ioeventfd, device))
        self._bus.register(ioeventfd.addr, ioeventfd.len, device)

    def remove(self, ioeventfd: Ioeventfd) -> None:
        """``kvm_deassign_ioeventfd_idx``: one that was added like this."""
        like_this = (device for spec, device in self._devices if spec == ioeventfd)
        if not any(self._bus.unregister(device) for device in like_this):
            raise KvmError(ENOENT, "KVM_IOEVENTFD deassign")

    def counts(self) -> tuple[int, ...]:
        """How often each was signalled, in the order they were added."""
        return tuple(device.count for _, device in self._devices)

    def count(self, ioeventfd: Ioeventfd) -> int:
        """How often the last one that was added like this was signalled."""
        for spec, device in reversed(self._devices):
            if spec == ioeventfd:
                return device.count
        raise KvmError(EBADF, "the eventfd of an ioeventfd that there is not")


def _sound(ioeventfd: Ioeventfd) -> bool:
    """``kvm_assign_ioeventfd_idx``: a width that an access can have, or any; within the address
    space; and a value to match only with a width."""
    if ioeventfd.len not in (0, 1, 2, 4, 8) or ioeventfd.addr + ioeventfd.len > _HIGHEST:
        return False
    return bool(ioeventfd.len) or ioeventfd.match is None


def _collide(one: Ioeventfd, other: Ioeventfd) -> bool:
    """Whether one write could signal both: ``ioeventfd_check_collision``."""
    if one.addr != other.addr:
        return False
    if not one.len or not other.len:
        return True
    any_value = one.match is None or other.match is None
    return one.len == other.len and (any_value or one.match == other.match)

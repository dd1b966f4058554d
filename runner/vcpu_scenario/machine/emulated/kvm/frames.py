"""Where a vGIC may lie in the guest's address space."""

from __future__ import annotations

from errno import E2BIG, EINVAL, ERANGE
from typing import Final, NamedTuple

from vcpu_scenario.case import Gic
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.machine.interface import KvmError

IPA_LIMIT: Final = 1 << 40

_64K: Final = 0x1_0000
_4K: Final = 0x1000


class _Frame(NamedTuple):
    """A region as ``KVM_DEV_ARM_VGIC_GRP_ADDR`` has it, by its attribute."""

    attribute: int
    base: int
    size: int
    alignment: int

    def overlaps(self, other: _Frame) -> bool:
        return self.base < other.base + other.size and other.base < self.base + self.size


def _frames(gic: Gic, vcpus: int = 1) -> tuple[_Frame, _Frame]:
    if gic.version == 2:
        return _Frame(0, gic.dist, _4K, _4K), _Frame(1, gic.cpu, 2 * _4K, _4K)
    return _Frame(2, gic.dist, _64K, _64K), _Frame(3, gic.redist, vcpus * 2 * _64K, _64K)


def check(gic: Gic, behaviour: Behaviour, vcpus: int = 1) -> None:
    """Raises what ``KVM_SET_DEVICE_ATTR`` is refused with (``vgic_check_iorange``). A GICv3's
    redistributor may not lie over its distributor; a GICv2's frames are looked at later."""
    distributor, second = _frames(gic, vcpus)
    for frame in (distributor, second):
        end = frame.base + (frame.size if behaviour.vgic_ends_checked else 1)
        if end > IPA_LIMIT:
            raise _refused(E2BIG, frame)
        if frame.base % frame.alignment:
            raise _refused(EINVAL, frame)
    if gic.version == 3 and distributor.overlaps(second):
        raise _refused(EINVAL, second)


def _refused(errno: int, frame: _Frame) -> KvmError:
    return KvmError(errno, f"vgic group 0 attr {frame.attribute}")


def error_at_first_run(gic: Gic) -> int:
    """What ``KVM_RUN`` returns: the negative errno where the frames of a GICv2 cannot be mapped, 0
    where all is well (``vgic_v2_map_resources``)."""
    distributor, second = _frames(gic)
    if gic.version == 3:
        return 0
    if distributor.overlaps(second):
        return -EINVAL
    return -ERANGE if second.base + second.size > IPA_LIMIT else 0

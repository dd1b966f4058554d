"""Where the frames of a vGIC lie in the guest's address space, as a VMM says it
(``KVM_DEV_ARM_VGIC_GRP_ADDR``, after ``vgic-kvm-device.c`` and ``vgic-mmio-v3.c``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from errno import E2BIG, EEXIST, EINVAL, ENOENT, ENXIO, ERANGE
from typing import Final

from msgspec import Struct

from vcpu_scenario.kvm import vgicattrs
from vcpu_scenario.kvm.vgicattrs import Region
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.mmio import Refused

UNDEFINED: Final = (1 << 64) - 1
"""``VGIC_ADDR_UNDEF``: what is read where no address was set."""

_64K: Final = 0x1_0000
_4K: Final = 0x1000
_REDISTRIBUTOR: Final = 2 * _64K


def check_range(
    base: int, size: int, alignment: int, features: VgicFeatures, known: int | None = None
) -> None:
    """``vgic_check_iorange``, or ``vgic_check_ioaddr``, which looked at the address alone."""
    if features.ends_checked:
        if known is not None:
            raise Refused(EEXIST)
        if base % alignment or size % alignment or base + size > UNDEFINED:
            raise Refused(EINVAL)
        if base + size > features.ipa_limit:
            raise Refused(E2BIG)
        return
    if base >= features.ipa_limit:
        raise Refused(E2BIG)
    if base % alignment:
        raise Refused(EINVAL)
    if known is not None:
        raise Refused(EEXIST)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[0] + other[1] and other[0] < one[0] + one[1]


class Placement(ABC):
    """The addresses of one VM's vGIC. Setting one raises :class:`Refused`."""

    kinds: tuple[int, ...]
    """The attributes of the group."""

    def __init__(self, features: VgicFeatures) -> None:
        self.features: Final = features
        self.dist: int | None = None

    @abstractmethod
    def set(self, kind: int, value: int) -> None: ...

    @abstractmethod
    def get(self, kind: int, given: int) -> int: ...

    def add_vcpu(self) -> bool:
        """A further vCPU is created: whether that may be."""
        return True

    @abstractmethod
    def error(self) -> int:
        """What the first ``KVM_RUN`` finds wrong, a negative errno, or 0."""


class PlacementV2(Placement):
    """A distributor of 4 KiB and a CPU interface of 8."""

    kinds = (vgicattrs.KVM_VGIC_V2_ADDR_TYPE_DIST, vgicattrs.KVM_VGIC_V2_ADDR_TYPE_CPU)

    def __init__(self, features: VgicFeatures) -> None:
        super().__init__(features)
        self.cpu: int | None = None

    def set(self, kind: int, value: int) -> None:
        if kind == vgicattrs.KVM_VGIC_V2_ADDR_TYPE_DIST:
            check_range(value, _4K, _4K, self.features, self.dist)
            self.dist = value
        elif kind == vgicattrs.KVM_VGIC_V2_ADDR_TYPE_CPU:
            check_range(value, 2 * _4K, _4K, self.features, self.cpu)
            self.cpu = value
        else:
            raise Refused(ENXIO)

    def get(self, kind: int, given: int) -> int:
        if kind not in self.kinds:
            raise Refused(ENXIO)
        known = self.dist if kind == vgicattrs.KVM_VGIC_V2_ADDR_TYPE_DIST else self.cpu
        return UNDEFINED if known is None else known

    def error(self) -> int:
        """``vgic_v2_map_resources``."""
        if self.dist is None or self.cpu is None:
            return -ENXIO
        if _overlap((self.dist, _4K), (self.cpu, 2 * _4K)):
            return -EINVAL
        return -ERANGE if self.cpu + 2 * _4K > self.features.ipa_limit else 0


class _Row(Struct):
    """A region of redistributors, with how many have their place there; ``count`` 0 is the region
    that has room for all (``KVM_VGIC_V3_ADDR_TYPE_REDIST``)."""

    base: int
    count: int
    index: int
    used: int = 0

    @property
    def full(self) -> bool:
        return bool(self.count) and self.used == self.count


class PlacementV3(Placement):
    """A distributor of 64 KiB and a redistributor of 128 for each vCPU, in rows."""

    kinds = (
        vgicattrs.KVM_VGIC_V3_ADDR_TYPE_DIST,
        vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST,
        vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
    )

    def __init__(self, features: VgicFeatures, vcpus: int) -> None:
        super().__init__(features)
        self._rows: list[_Row] = []
        self._seats: list[tuple[_Row, int] | None] = [None] * vcpus
        """Of each vCPU: the row of its redistributor and the place in it."""
        self.unregistered: Final = set[int]()
        """vCPUs whose redistributor is no longer on the bus."""

    def redistributor(self, vcpu: int) -> int | None:
        """The address of a vCPU's redistributor, None where it has none."""
        seat = self._seats[vcpu]
        return None if seat is None else seat[0].base + seat[1] * _REDISTRIBUTOR

    def is_last(self, vcpu: int) -> bool:
        """``vgic_mmio_vcpu_rdist_is_last``."""
        seat = self._seats[vcpu]
        if seat is None:
            return False
        row, place = seat
        if place < row.used - 1:
            return False
        if not self.features.user_sees_last or not row.count or place != row.count - 1:
            return True
        end = row.base + row.count * _REDISTRIBUTOR
        return not any(other.base == end and other.used for other in self._rows)

    def set(self, kind: int, value: int) -> None:
        if kind == vgicattrs.KVM_VGIC_V3_ADDR_TYPE_DIST:
            check_range(value, _64K, _64K, self.features, self.dist)
            self.dist = value
        elif kind == vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST:
            self._add(_Row(value, 0, 0))
        elif kind == vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION:
            region = Region.of(value)
            if not region.count or region.flags:
                raise Refused(EINVAL)
            self._add(_Row(region.base, region.count, region.index))
        else:
            raise Refused(ENXIO)

    def get(self, kind: int, given: int) -> int:
        if kind == vgicattrs.KVM_VGIC_V3_ADDR_TYPE_DIST:
            return UNDEFINED if self.dist is None else self.dist
        if kind == vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST:
            return self._rows[0].base if self._rows else UNDEFINED
        if kind != vgicattrs.KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION:
            raise Refused(ENXIO)
        found = next((row for row in self._rows if row.index == Region.of(given).index), None)
        if found is None:
            raise Refused(ENOENT)
        return Region(found.base, found.count, found.index).value

    def error(self) -> int:
        """``vgic_v3_map_resources``, up to whether the vGIC is initialised."""
        if None in self._seats or self.dist is None:
            return -ENXIO
        return 0 if self._fits() else -EINVAL

    def _size(self, row: _Row) -> int:
        return (row.count or len(self._seats)) * _REDISTRIBUTOR

    def _add(self, row: _Row) -> None:
        """``vgic_v3_set_redist_base``: a further row, and places in it for vCPUs that have none."""
        self._check_row(row)
        self._rows.append(row)
        for vcpu, seat in enumerate(self._seats):
            free = self._free()
            if seat is not None or free is None:
                continue
            if not self._fits():
                self._take_back(row, vcpu)
                raise Refused(EINVAL)
            self._seats[vcpu] = free, free.used
            free.used += 1

    def _free(self) -> _Row | None:
        return next((each for each in self._rows if not each.full), None)

    def add_vcpu(self) -> bool:
        """``kvm_vgic_vcpu_init``: its redistributor has a place where there is one."""
        if (free := self._free()) is None:
            self._seats.append(None)
            return True
        if not self._fits():
            return False
        self._seats.append((free, free.used))
        free.used += 1
        return True

    def _take_back(self, row: _Row, upto: int) -> None:
        """The row goes, once it stayed; off the bus go the redistributors of all vCPUs before the
        one that found no place, wherever they lie."""
        self.unregistered.update(range(upto))
        if self.features.second_redist_is_eexist:
            self._rows.remove(row)

    def _check_row(self, row: _Row) -> None:
        """``vgic_v3_alloc_redist_region``."""
        later = self.features.second_redist_is_eexist
        if not later and not row.count and self._rows:
            raise Refused(EINVAL)
        # Where only beginnings count, the row that has room for all has no size yet.
        size = self._size(row) if row.count or self.features.ends_checked else 0
        if row.base + size > UNDEFINED:
            raise Refused(EINVAL)
        if not self._rows:
            if row.index:
                raise Refused(EINVAL)
        else:
            last = self._rows[-1]
            if not row.count:
                raise Refused(EINVAL if last.count else EEXIST)
            if row.index != last.index + 1 or not last.count:
                raise Refused(EINVAL)
        extent = row.base, size
        if not row.count and self.dist is not None and _overlap(extent, (self.dist, _64K)):
            raise Refused(EINVAL)
        if any(_overlap(extent, (each.base, self._size(each))) for each in self._rows):
            raise Refused(EINVAL)
        check_range(*extent, _64K, self.features)

    def _fits(self) -> bool:
        """``vgic_v3_check_base``."""
        extents = [(row.base, self._size(row)) for row in self._rows]
        if self.features.ends_checked and any(
            sum(extent) > self.features.ipa_limit for extent in extents
        ):
            return False
        if self.dist is None:
            return True
        return not any(_overlap((self.dist, _64K), extent) for extent in extents)

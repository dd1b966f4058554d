"""Registers of 64 bits that say where a table lies: accessed by halves, their attributes those that
KVM supports (``vgic-mmio-v3.c``)."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures

INITIAL: Final = 0x580
"""Inner shareable, inner cacheable with read-allocate."""
PTZ: Final = 1 << 62
"""``GICR_PENDBASER.PTZ``."""


def extract(value: int, offset: int, length: int) -> int:
    """``extract_bytes``."""
    return value >> (offset & 7) * 8 & (1 << length * 8) - 1


def update(value: int, offset: int, length: int, new: int) -> int:
    """``update_64bit_reg``."""
    shift = (offset & 4) * 8
    mask = (1 << length * 8) - 1 << shift
    return value & ~mask | new << shift & mask


def sanitised(value: int, features: VgicFeatures, inner: int, outer: int) -> int:
    """``inner`` and ``outer`` are where the fields of the cacheability begin."""
    if value >> 10 & 3 == 2:  # outer shareable
        value = value & ~(3 << 10) | 1 << 10
    if value >> inner & 7 in (0, 1):  # device or non-cacheable
        value = value & ~(7 << inner) | 3 << inner
    if value >> outer & 7 not in (0, 1):
        value = value & ~(7 << outer)
        if not features.outer_cacheability_same_as_inner:
            value |= 1 << outer
    return value

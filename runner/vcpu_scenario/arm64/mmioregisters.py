"""Registers of memory-mapped devices by name: the PL011 (DDI 0183, table 3-1), virtio-mmio (Virtio
1.2, 4.2.2, with the names of ``uapi/linux/virtio_mmio.h``) and the parts of the GIC (IHI 0048 and
IHI 0069), as offsets in bytes from the base of the part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

PL011: Final[Mapping[str, int]] = {
    "DR": 0x00,
    "RSR": 0x04,
    "ECR": 0x04,
    "FR": 0x18,
    "ILPR": 0x20,
    "IBRD": 0x24,
    "FBRD": 0x28,
    "LCR_H": 0x2C,
    "CR": 0x30,
    "IFLS": 0x34,
    "IMSC": 0x38,
    "RIS": 0x3C,
    "MIS": 0x40,
    "ICR": 0x44,
    "DMACR": 0x48,
}

VIRTIO_MMIO: Final[Mapping[str, int]] = {
    "MAGIC_VALUE": 0x000,
    "VERSION": 0x004,
    "DEVICE_ID": 0x008,
    "VENDOR_ID": 0x00C,
    "DEVICE_FEATURES": 0x010,
    "DEVICE_FEATURES_SEL": 0x014,
    "DRIVER_FEATURES": 0x020,
    "DRIVER_FEATURES_SEL": 0x024,
    "QUEUE_SEL": 0x030,
    "QUEUE_NUM_MAX": 0x034,
    "QUEUE_NUM": 0x038,
    "QUEUE_READY": 0x044,
    "QUEUE_NOTIFY": 0x050,
    "INTERRUPT_STATUS": 0x060,
    "INTERRUPT_ACK": 0x064,
    "STATUS": 0x070,
    "QUEUE_DESC_LOW": 0x080,
    "QUEUE_DESC_HIGH": 0x084,
    "QUEUE_AVAIL_LOW": 0x090,
    "QUEUE_AVAIL_HIGH": 0x094,
    "QUEUE_USED_LOW": 0x0A0,
    "QUEUE_USED_HIGH": 0x0A4,
    "SHM_SEL": 0x0AC,
    "SHM_LEN_LOW": 0x0B0,
    "SHM_LEN_HIGH": 0x0B4,
    "SHM_BASE_LOW": 0x0B8,
    "SHM_BASE_HIGH": 0x0BC,
    "QUEUE_RESET": 0x0C0,
    "CONFIG_GENERATION": 0x0FC,
    "CONFIG": 0x100,
}

BY_MODEL: Final[Mapping[str, Mapping[str, int]]] = {"pl011": PL011, "virtio-mmio": VIRTIO_MMIO}
"""Devices of userspace whose registers have names, by their models."""
VIRTIO_MMIO_MAGIC: Final = 0x7472_6976
"""``virt`` in little-endian ASCII."""

_DISTRIBUTOR: Final = {"CTLR": 0x0, "TYPER": 0x4, "IIDR": 0x8, "PIDR2": 0xFFE8}
_DISTRIBUTOR_V2: Final = {"SGIR": 0xF00}
_OF_INTERRUPTS: Final = {
    "IGROUPR": (0x80, 32),
    "ISENABLER": (0x100, 32),
    "ICENABLER": (0x180, 32),
    "ISPENDR": (0x200, 32),
    "ICPENDR": (0x280, 32),
    "ISACTIVER": (0x300, 32),
    "ICACTIVER": (0x380, 32),
    "IPRIORITYR": (0x400, 255),
    "ICFGR": (0xC00, 64),
}
"""The first of so many registers, four bytes each."""
_ONLY_V2: Final = {"ITARGETSR": (0x800, 255), "CPENDSGIR": (0xF10, 4), "SPENDSGIR": (0xF20, 4)}

_CPU_INTERFACE: Final = {
    "CTLR": 0x0,
    "PMR": 0x4,
    "BPR": 0x8,
    "IAR": 0xC,
    "EOIR": 0x10,
    "RPR": 0x14,
    "HPPIR": 0x18,
    "ABPR": 0x1C,
    "AIAR": 0x20,
    "AEOIR": 0x24,
    "AHPPIR": 0x28,
    "IIDR": 0xFC,
    "DIR": 0x1000,
}

_REDISTRIBUTOR: Final = {
    "CTLR": 0x0,
    "IIDR": 0x4,
    "TYPER": 0x8,
    "WAKER": 0x14,
    "PROPBASER": 0x70,
    "PENDBASER": 0x78,
    "PIDR2": 0xFFE8,
}
_SGI_FRAME: Final = 0x10000
_OF_SGIS_AND_PPIS: Final = {
    **{name: (first, 1) for name, (first, count) in _OF_INTERRUPTS.items() if count == 32},
    "IPRIORITYR": (0x400, 8),
    "ICFGR": (0xC00, 2),
    "IGRPMODR": (0xD00, 1),
}


ITS: Final[Mapping[str, int]] = {
    "GITS_CTLR": 0x0,
    "GITS_IIDR": 0x4,
    "GITS_TYPER": 0x8,
    "GITS_CBASER": 0x80,
    "GITS_CWRITER": 0x88,
    "GITS_CREADR": 0x90,
    **{f"GITS_BASER{n}": 0x100 + 8 * n for n in range(8)},
    "GITS_PIDR2": 0xFFE8,
}


@cache
def distributor(version: int) -> Mapping[str, int]:
    """The registers of a GICv2's or a GICv3's distributor, ``GICD_CTLR`` and so on."""
    found = dict(_prefixed("GICD", _DISTRIBUTOR))
    found |= _numbered("GICD", _OF_INTERRUPTS)
    if version == 2:
        return found | dict(_prefixed("GICD", _DISTRIBUTOR_V2)) | dict(_numbered("GICD", _ONLY_V2))
    return found | {f"GICD_IROUTER{n}": 0x6000 + 8 * n for n in range(32, 1020)}


@cache
def cpu_interface() -> Mapping[str, int]:
    """The registers of a GICv2's CPU interface, ``GICC_PMR`` and so on."""
    return dict(_prefixed("GICC", _CPU_INTERFACE))


@cache
def redistributor() -> Mapping[str, int]:
    """The registers of a GICv3's redistributor, both of its frames."""
    frame = _numbered("GICR", _OF_SGIS_AND_PPIS)
    return dict(_prefixed("GICR", _REDISTRIBUTOR)) | {
        name: _SGI_FRAME + offset for name, offset in frame
    }


def _prefixed(prefix: str, offsets: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return ((f"{prefix}_{name}", offset) for name, offset in offsets.items())


def _numbered(prefix: str, groups: Mapping[str, tuple[int, int]]) -> Iterator[tuple[str, int]]:
    for name, (first, count) in groups.items():
        for number in range(count):
            yield f"{prefix}_{name}{number}", first + 4 * number

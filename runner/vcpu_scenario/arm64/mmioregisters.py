"""Registers of Arm's memory-mapped devices by name: the PL011 (DDI 0183, table 3-1) and the parts
of the GIC (IHI 0048 and IHI 0069), as offsets in bytes from the base of the part."""

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

_REDISTRIBUTOR: Final = {"CTLR": 0x0, "IIDR": 0x4, "TYPER": 0x8, "WAKER": 0x14, "PIDR2": 0xFFE8}
_SGI_FRAME: Final = 0x10000
_OF_SGIS_AND_PPIS: Final = {
    **{name: (first, 1) for name, (first, count) in _OF_INTERRUPTS.items() if count == 32},
    "IPRIORITYR": (0x400, 8),
    "ICFGR": (0xC00, 2),
    "IGRPMODR": (0xD00, 1),
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

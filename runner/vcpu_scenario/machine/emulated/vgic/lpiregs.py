"""What a redistributor has of LPIs: their enable, where their tables lie, what makes KVM read the
configuration again. After ``vgic-mmio-v3.c``."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.machine.emulated.vgic import lpis
from vcpu_scenario.machine.emulated.vgic import mmio as m
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import FIRST_LPI
from vcpu_scenario.machine.emulated.vgic.mmio import Register
from vcpu_scenario.machine.emulated.vgic.tablebase import PTZ, extract, sanitised, update
from vcpu_scenario.machine.errors import NotModelled

_IR_CES: Final = 6
_ENABLE_LPIS: Final = 1
_INNER, _OUTER = 7, 56
_PROPBASER_RES0: Final = 0x1F << 59 | 0xF << 52 | 3 << 5
_PENDBASER_RES0: Final = 1 << 63 | 7 << 59 | 0xF << 52 | 0xF << 12 | 0x7F


def registers(features: VgicFeatures) -> list[Register]:
    every = [
        Register(0x00, 4, _read_ctlr, _write_ctlr),
        Register(0x70, 8, _read_propbaser, _write_propbaser, m.WORD_OR_LONG),
        Register(0x78, 8, _read_pendbaser, _write_pendbaser, m.WORD_OR_LONG),
    ]
    if features.lpi_registers:
        every += [
            Register(0xA0, 8, m.read_as_zero, _write_invlpir, m.WORD_OR_LONG),
            Register(0xB0, 8, m.read_as_zero, _write_invallr, m.WORD_OR_LONG),
            Register(0xC0, 4, m.read_as_zero),
        ]
    return every


def _read_ctlr(gic: Interrupts, offset: int, length: int) -> int:
    fixed = _IR_CES if gic.distributor.revision >= 3 else 0
    return fixed | gic.lpis_enabled * _ENABLE_LPIS


def _write_ctlr(gic: Interrupts, offset: int, length: int, value: int) -> None:
    wanted = bool(value & _ENABLE_LPIS)
    if gic.distributor.has_its and wanted is not gic.lpis_enabled:
        (lpis.enable if wanted else lpis.disable)(gic)


def _sanitised(value: int, features: VgicFeatures, reserved: int) -> int:
    if not features.pendbaser_52bit:
        value &= ~(0xF << 48)
    return sanitised(value, features, _INNER, _OUTER) & ~reserved


def _read_propbaser(gic: Interrupts, offset: int, length: int) -> int:
    return extract(gic.distributor.propbaser, offset, length)


def _write_propbaser(gic: Interrupts, offset: int, length: int, value: int) -> None:
    if not gic.lpis_enabled:
        new = update(gic.distributor.propbaser, offset, length, value)
        gic.distributor.propbaser = _sanitised(new, gic.features, _PROPBASER_RES0)


def _read_pendbaser(gic: Interrupts, offset: int, length: int) -> int:
    value = gic.pendbaser
    if gic.features.pendbaser_hides_ptz:
        value &= ~PTZ
    return extract(value, offset, length)


def _write_pendbaser(gic: Interrupts, offset: int, length: int, value: int) -> None:
    if not gic.lpis_enabled:
        new = update(gic.pendbaser, offset, length, value)
        gic.pendbaser = _sanitised(new, gic.features, _PENDBASER_RES0)


def _write_invlpir(gic: Interrupts, offset: int, length: int, value: int) -> None:
    """The upper half is for vPEs, which there are none of."""
    if offset & 4 or not gic.lpis_enabled:
        return
    intid = value & 0xFFFF_FFFF
    if intid < FIRST_LPI:
        raise NotModelled(f"GICR_INVLPIR of an interrupt that is no LPI, {intid}")
    irq = gic.distributor.lpis.get(intid)
    if irq is not None:
        lpis.reconfigure(gic.distributor, irq)


def _write_invallr(gic: Interrupts, offset: int, length: int, value: int) -> None:
    if not offset & 4 and gic.lpis_enabled:
        lpis.configure_all(gic)

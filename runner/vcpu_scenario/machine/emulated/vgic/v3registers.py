"""The registers of a GICv3's distributor and redistributor, after ``vgic-mmio-v3.c``."""

from __future__ import annotations

from errno import EBUSY, EINVAL
from typing import Final

from vcpu_scenario.machine.emulated.vgic import lpiregs
from vcpu_scenario.machine.emulated.vgic import mmio as m
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, VgicIrq
from vcpu_scenario.machine.emulated.vgic.mmio import Refused, Register
from vcpu_scenario.machine.emulated.vgic.revision import IIDR, restore_revision
from vcpu_scenario.machine.emulated.vgic.tablebase import extract

FRAME_SIZE: Final = 0x10000
_PIDR2_GICV3: Final = 0x3B
_CTLR_ENABLE_GROUP1 = 1 << 1
_CTLR_ARE_DS = 0x50
_TYPER_10_BIT_INTIDS = 9 << 19
_TYPER_LPIS = 15 << 19 | 1 << 17
"""With an ITS: 16 bits of INTIDs, and LPIs."""
_GICR_TYPER_LAST = 1 << 4
_GICR_TYPER_PLPIS = 1
_SGI_FRAME: Final = FRAME_SIZE
"""Of a redistributor, the second frame."""


def _read_misc(gic: Interrupts, offset: int, length: int) -> int:
    match offset & 0xC:
        case 0x0:
            return gic.distributor.enabled * _CTLR_ENABLE_GROUP1 | _CTLR_ARE_DS
        case 0x4:
            lines = (len(gic.irqs) >> 5) - 1
            return lines | (_TYPER_LPIS if gic.distributor.has_its else _TYPER_10_BIT_INTIDS)
        case 0x8:
            return IIDR | gic.distributor.revision << 12
        case _:
            return 0


def _write_misc(gic: Interrupts, offset: int, length: int, value: int) -> None:
    if not offset & 0xC:
        gic.distributor.enabled = bool(value & _CTLR_ENABLE_GROUP1)


def _restore_misc(gic: Interrupts, offset: int, length: int, value: int) -> None:
    """``vgic_mmio_uaccess_write_v3_misc``."""
    match offset & 0xC:
        case 0x8:
            restore_revision(gic, value)
        case 0xC if value:  # GICD_TYPER2: there is no GICv4.1 whose nASSGIcap it could have
            raise Refused(EBUSY if gic.features.typer2_is_settled else EINVAL)
        case _:
            _write_misc(gic, offset, length, value)


def _routed_irq(gic: Interrupts, offset: int) -> VgicIrq | None:
    # Aff3 does not exist: the upper half reads as zero and ignores writes.
    intid = NR_PRIVATE_IRQS + offset // 8
    return gic.irqs[intid] if intid < len(gic.irqs) and not offset & 4 else None


def _read_router(gic: Interrupts, offset: int, length: int) -> int:
    irq = _routed_irq(gic, offset)
    return irq.mpidr if irq is not None else 0


def _write_router(gic: Interrupts, offset: int, length: int, value: int) -> None:
    irq = _routed_irq(gic, offset)
    if irq is not None:
        irq.mpidr = value & 0xFF_FFFF
        interfaces = gic.distributor.interfaces
        meant = (one.index for one in interfaces if one.affinity() == irq.mpidr)
        irq.target = next(meant, None)


def _read_id(gic: Interrupts, offset: int, length: int) -> int:
    return _PIDR2_GICV3 if offset == 0x18 else 0


def _read_redist_typer_by_user(gic: Interrupts, offset: int, length: int) -> int:
    last = gic.features.user_sees_last and gic.is_last()
    return _redist_typer(gic, offset, length, last)


def _redist_typer(gic: Interrupts, offset: int, length: int, last: bool) -> int:
    value = gic.affinity() << 32 | gic.number << 8 | last * _GICR_TYPER_LAST
    value |= gic.distributor.has_its * _GICR_TYPER_PLPIS
    return extract(value, offset, length)


def _per_irq_registers(features: VgicFeatures, base: int, first: int, end: int) -> list[Register]:
    """The registers that the distributor has for SPIs and the SGI frame for the others."""
    by_user: dict[int, tuple[m.Read | None, m.Write | None]] = {
        0x200: (m.read_latch, m.restore_latch),
        0x280: (m.read_as_zero, m.write_ignored),
    }
    arrays: tuple[tuple[int, int, m.Read, m.Write, frozenset[int]], ...] = (
        (0x080, 1, *m.group_accessors(features), m.WORD),
        (0x100, 1, m.read_enable, m.set_enable, m.WORD),
        (0x180, 1, m.read_enable, m.clear_enable, m.WORD),
        (0x200, 1, m.read_pending_as_guest, m.set_pending, m.WORD),
        (0x280, 1, m.read_pending_as_guest, m.clear_pending, m.WORD),
        (0x300, 1, m.read_active, m.set_active, m.WORD),
        (0x380, 1, m.read_active, m.clear_active, m.WORD),
        (0x400, 8, m.read_priority, m.write_priority, m.WORD_OR_BYTE),
        (0xC00, 2, m.read_config, m.write_config, m.WORD),
        (0xD00, 1, m.read_as_zero, m.write_ignored, m.WORD),
    )
    return [
        m.per_irq(
            base + offset,
            bits,
            read,
            write,
            sizes=sizes,
            first_irq=first,
            nr_irqs=end,
            user=by_user.get(offset, (None, None)),
        )
        for offset, bits, read, write, sizes in arrays
    ]


_BANKED_IN_THE_SGI_FRAME: Final = (
    *((offset, 1) for offset in (0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0xD00)),
    (0x400, 8),
    (0xC00, 2),
)
"""What the distributor has of the first 32 interrupts: nothing, but it is there."""


def distributor(features: VgicFeatures) -> list[Register]:
    return [
        Register(0x0000, 16, _read_misc, _write_misc, user_write=_restore_misc),
        Register(0x0010, 4, m.read_as_one),
        *(
            m.per_irq(offset, bits, m.read_as_zero, m.write_ignored, nr_irqs=32)
            for offset, bits in _BANKED_IN_THE_SGI_FRAME
        ),
        *_per_irq_registers(features, 0, 32, 1024),
        m.per_irq(0x800, 8, m.read_as_zero, m.write_ignored, sizes=m.WORD_OR_BYTE),
        Register(0x6000, 0x100, m.read_as_zero, sizes=m.WORD_OR_LONG),
        Register(0x6100, 0x1F00, _read_router, _write_router, m.WORD_OR_LONG, bytes_per_irq=8),
        Register(0xFFD0, 48, _read_id),
    ]


def redistributor(features: VgicFeatures) -> list[Register]:
    return [
        Register(0x0004, 4, lambda gic, offset, length: IIDR),
        Register(
            0x0008,
            8,
            lambda gic, offset, length: _redist_typer(gic, offset, length, gic.is_last()),
            sizes=m.WORD_OR_LONG,
            user_read=_read_redist_typer_by_user,
        ),
        # No GICR_STATUSR, which KVM's search does not find: its table is out of order there.
        Register(0x0014, 4, m.read_as_zero),
        *lpiregs.registers(features),
        Register(0xFFD0, 48, _read_id),
        *_per_irq_registers(features, _SGI_FRAME, 0, 32),
        Register(_SGI_FRAME + 0xE00, 4, m.read_as_zero),
    ]

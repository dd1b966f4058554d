"""KVM's GICv2: a distributor of 4 KiB; the CPU interface is the hardware's.

Register semantics after ``vgic-mmio-v2.c``, ``vgic-v2.c`` and ``hyp/vgic-v2-cpuif-proxy.c``. With
one vCPU every target list leads to it, and every SGI that it is sent comes from it; only
``GICD_SPENDSGIR`` can name other sources.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.case import Gic
from vcpu_scenario.machine.emulated.cpu import gicv
from vcpu_scenario.machine.emulated.cpu.cpuif import ListRegister
from vcpu_scenario.machine.emulated.vgic import mmio as m
from vcpu_scenario.machine.emulated.vgic.base import Vgic
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.distributor import Distributor
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, NR_SGIS
from vcpu_scenario.machine.emulated.vgic.mmio import Frame, Register, Registers
from vcpu_scenario.machine.emulated.vgic.revision import IIDR, restore_revision
from vcpu_scenario.machine.errors import NotModelled

DIST_SIZE: Final = 0x1000
_IIDR_AT: Final = 8


class VgicV2(Vgic):
    """A GICv2 for one vCPU. See :func:`vcpu_scenario.machine.emulated.vgic.create`."""

    def __init__(
        self,
        gic: Gic | None,
        features: VgicFeatures,
        distributor: Distributor[Interrupts] | None = None,
    ) -> None:
        """One without ``gic`` is nowhere yet."""
        super().__init__(features, sgis_have_sources=True, group=0, distributor=distributor)
        self.cpuif.fiq_enable = False
        self.dist_registers = Registers(_distributor(features))
        self.frames = []
        if gic is not None:
            self.place(gic.dist, gic.cpu)

    def place(self, dist: int, cpu: int) -> None:
        """The addresses of its frames."""
        self._cpu = cpu
        self.frames = [Frame(dist, DIST_SIZE, self.dist_registers)]
        if self.features.gicv_dir_page_trapped:
            page = Registers([Register(0, 4, m.read_as_zero, _write_dir)])
            self.frames.append(Frame(cpu + gicv.DIR, gicv.PAGE, page))

    def mapped(self) -> tuple[int, int]:
        """(base, size) of the CPU interface that the guest reaches without KVM."""
        size = gicv.PAGE if self.features.gicv_dir_page_trapped else gicv.SIZE
        return self._cpu, size

    def signalled(self) -> ListRegister | None:
        return gicv.signalled(self.cpuif)

    def as_fiq(self, lr: ListRegister) -> bool:
        return not lr.group and self.cpuif.fiq_enable

    def gicv(self, offset: int, length: int, is_write: bool, value: int) -> int:
        """The hardware's answer to an aligned access at ``offset`` from the CPU interface's base:
        what is read, 0 for a write."""
        return gicv.access(self.cpuif, offset, length, is_write, value)

    def gicv_emulated(
        self, offset: int, length: int, is_write: bool, value: int
    ) -> tuple[bool, int]:
        """The same where accesses trap and hyp does them for the guest: (False, 0) for all but
        an aligned word, for which KVM raises an SError."""
        if length != 4 or offset & 3:
            return False, 0
        return True, gicv.access(self.cpuif, offset, length, is_write, value)


def _read_misc(gic: Interrupts, offset: int, length: int) -> int:
    match offset:
        case 0x0:
            return int(gic.distributor.enabled)
        case 0x4:
            return (len(gic.irqs) >> 5) - 1 | len(gic.distributor.interfaces) - 1 << 5
        case _:
            return IIDR | gic.distributor.revision << 12


def _write_misc(gic: Interrupts, offset: int, length: int, value: int) -> None:
    if not offset:
        gic.distributor.enabled = bool(value & 1)


def _restore_misc(gic: Interrupts, offset: int, length: int, value: int) -> None:
    """``vgic_mmio_uaccess_write_v2_misc``: GICD_IIDR says that the VMM knows of groups."""
    if offset == _IIDR_AT:
        restore_revision(gic, value)
        gic.distributor.groups_restored = True
    else:
        _write_misc(gic, offset, length, value)


def _restore_group(gic: Interrupts, first: int, length: int, value: int) -> None:
    if gic.distributor.groups_restored:
        m.write_group(gic, first, length, value)


def _read_pending_as_user(gic: Interrupts, first: int, length: int) -> int:
    tied = any(irq.tied for irq in gic.irqs[first : first + length * 8])
    if tied and not gic.features.pending_told_to_user:
        raise NotModelled("a VMM's read of GICD_ISPENDR0 of a GICv2, which ends this host")
    return m.read_pending(gic, first, length)


def _without_sgis(write: m.Write) -> m.Write:
    """SGIs become pending through ``GICD_SGIR`` alone, where KVM heeds that."""

    def masked(gic: Interrupts, first: int, length: int, value: int) -> None:
        kept = first >= NR_SGIS or gic.features.sgis_pend_as_others
        write(gic, first, length, value if kept else value & ~0xFFFF)

    return masked


def _set_pending(gic: Interrupts, first: int, length: int, value: int) -> None:
    for intid in range(first, min(first + length * 8, NR_SGIS)):
        if value >> intid - first & 1 and not gic.irqs[intid].source:
            raise NotModelled("an SGI of no source, by GICD_ISPENDR0, which ends this host")
    m.set_pending(gic, first, length, value)


def _read_targets(gic: Interrupts, first: int, length: int) -> int:
    irqs = gic.irqs[first : first + length]
    return sum(irq.targets << i * 8 for i, irq in enumerate(irqs))


def _write_targets(gic: Interrupts, first: int, length: int, value: int) -> None:
    if first >= NR_PRIVATE_IRQS:
        for i, irq in enumerate(gic.irqs[first : first + length]):
            irq.targets = value >> i * 8 & (1 << len(gic.distributor.interfaces)) - 1
            irq.target = max((irq.targets & -irq.targets).bit_length() - 1, 0)


def _write_sgir(gic: Interrupts, offset: int, length: int, value: int) -> None:
    filter_mode, listed = value >> 24 & 3, value >> 16 & 0xFF
    for one in gic.distributor.interfaces:
        meant = {0: listed >> one.number & 1, 1: one is not gic, 2: one is gic}
        if meant.get(filter_mode):
            irq = one.irqs[value & 0xF]
            irq.pending_latch = True
            irq.source |= 1 << gic.number
            one.queue(irq)


def _read_sgi_pending(gic: Interrupts, offset: int, length: int) -> int:
    return sum(gic.irqs[offset + i].source << i * 8 for i in range(length))


def _clear_sgi_pending(gic: Interrupts, offset: int, length: int, value: int) -> None:
    for i, irq in enumerate(gic.irqs[offset : offset + length]):
        irq.source &= ~(value >> i * 8 & 0xFF)
        if not irq.source:
            irq.pending_latch = False


def _set_sgi_pending(gic: Interrupts, offset: int, length: int, value: int) -> None:
    for i, irq in enumerate(gic.irqs[offset : offset + length]):
        irq.source |= value >> i * 8 & 0xFF
        if irq.source:
            irq.pending_latch = True
            gic.queue(irq)


def _write_dir(gic: Interrupts, offset: int, length: int, value: int) -> None:
    gic.deactivate(value & ~(7 << 10), value >> 10 & 7)


def _distributor(features: VgicFeatures) -> list[Register]:
    set_pending = _without_sgis(_set_pending)
    clear_pending = _without_sgis(m.clear_pending)
    return [
        Register(0x000, 12, _read_misc, _write_misc, user_write=_restore_misc),
        m.per_irq(0x080, 1, *m.group_accessors(features), user=(None, _restore_group)),
        m.per_irq(0x100, 1, m.read_enable, m.set_enable),
        m.per_irq(0x180, 1, m.read_enable, m.clear_enable),
        m.per_irq(
            0x200,
            1,
            m.read_pending_as_guest,
            set_pending,
            user=(_read_pending_as_user, m.set_pending_by_user),
        ),
        m.per_irq(
            0x280,
            1,
            m.read_pending_as_guest,
            clear_pending,
            user=(_read_pending_as_user, m.clear_pending_by_user),
        ),
        m.per_irq(0x300, 1, m.read_active, m.set_active),
        m.per_irq(0x380, 1, m.read_active, m.clear_active),
        m.per_irq(0x400, 8, m.read_priority, m.write_priority, sizes=m.WORD_OR_BYTE),
        m.per_irq(0x800, 8, _read_targets, _write_targets, sizes=m.WORD_OR_BYTE),
        m.per_irq(0xC00, 2, m.read_config, m.write_config),
        Register(0xF00, 4, m.read_as_zero, _write_sgir),
        Register(0xF10, 16, _read_sgi_pending, _clear_sgi_pending, m.WORD_OR_BYTE),
        Register(0xF20, 16, _read_sgi_pending, _set_sgi_pending, m.WORD_OR_BYTE),
    ]

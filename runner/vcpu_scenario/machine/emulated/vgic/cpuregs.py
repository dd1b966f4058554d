"""The CPU interface as a VMM reads and writes it: the ``ICC_*_EL1`` of a GICv3
(``vgic-sys-reg-v3.c``), and ``GICC_*`` of a GICv2 (``vgic-mmio-v2.c``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EFAULT, EINVAL, ENOENT, ENXIO
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm.vgicattrs import sysreg_attribute
from vcpu_scenario.machine.emulated.cpu import icv
from vcpu_scenario.machine.emulated.cpu.cpuif import MIN_BPR0, MIN_BPR1, CpuInterface
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import NotModelled

_A3V: Final = 1 << 15
_SEIS: Final = 1 << 14
_PRI_BITS: Final = 4
"""Less one: a guest's priorities have five."""
_ID_BITS: Final = 1
"""INTIDs have 24 bits."""

_PLAIN: Final = (
    sysregs.ICC_PMR_EL1,
    sysregs.ICC_BPR0_EL1,
    sysregs.ICC_BPR1_EL1,
    sysregs.ICC_AP0R0_EL1,
    sysregs.ICC_AP1R0_EL1,
    sysregs.ICC_CTLR_EL1,
    sysregs.ICC_SRE_EL1,
    sysregs.ICC_IGRPEN0_EL1,
    sysregs.ICC_IGRPEN1_EL1,
)
_REGISTERS: Final = {sysreg_attribute(encoding): encoding for encoding in _PLAIN}
_ABSENT: Final = frozenset(
    sysreg_attribute((3, 0, 12, crm, op2))
    for crm, ops in ((8, (5, 6, 7)), (9, (1, 2, 3)))
    for op2 in ops
)
"""``ICC_AP0R1_EL1`` and so on, of priorities with more bits."""


def has_sysreg(attribute: int) -> None:
    """Raises :class:`Refused` where there is none."""
    if attribute not in _REGISTERS and attribute not in _ABSENT:
        raise Refused(ENXIO)


def _encoding(attribute: int, features: VgicFeatures) -> sysregs.Encoding:
    if attribute in _ABSENT:
        raise Refused(EINVAL)
    found = _REGISTERS.get(attribute)
    if found is None:
        raise Refused(ENOENT if features.unknown_sysreg_is_enoent else ENXIO)
    return found


def read_sysreg(gic: Interrupts, attribute: int, ran: bool) -> int:
    encoding = _encoding(attribute, gic.features)
    if not ran and encoding in (sysregs.ICC_BPR0_EL1, sysregs.ICC_BPR1_EL1):
        raise NotModelled("a binary point that KVM has not yet given to the CPU")
    return icv.READS[encoding](gic.cpuif)


def write_sysreg(gic: Interrupts, attribute: int, value: int | None) -> None:
    """Raises :class:`Refused`."""
    encoding = _encoding(attribute, gic.features)
    if value is None:
        raise Refused(EFAULT)
    if encoding == sysregs.ICC_SRE_EL1:
        if not value & 1:
            raise Refused(EINVAL)
        return
    if encoding == sysregs.ICC_CTLR_EL1:
        _check_ctlr(value)
    else:
        _check_kept(encoding, value)
        value &= 7 if encoding in _LEAST else -1
    icv.WRITES[encoding](gic.cpuif, value)


def _check_ctlr(value: int) -> None:
    """``set_gic_ctlr``: what the hardware has, and no less."""
    if value >> 8 & 7 > _PRI_BITS or value >> 11 & 7 > _ID_BITS:
        raise Refused(EINVAL)
    if value >> 8 & 7 < _PRI_BITS or value >> 11 & 7 < _ID_BITS:
        raise NotModelled("a vCPU with fewer bits of priority, or of INTID, than the CPU has")
    if value & _SEIS or not value & _A3V:
        raise Refused(EINVAL)


_LEAST: Final = {sysregs.ICC_BPR0_EL1: MIN_BPR0, sysregs.ICC_BPR1_EL1: MIN_BPR1}


def _check_kept(encoding: sysregs.Encoding, value: int) -> None:
    """KVM gives back what it was given until the vCPU is loaded, which leaves what the CPU has."""
    least = _LEAST.get(encoding)
    if least is not None and value & 7 < least:
        raise NotModelled(f"a binary point of {value & 7}, which the CPU makes {least}")
    if encoding == sysregs.ICC_PMR_EL1 and value & 7:
        raise NotModelled(f"a priority mask of {value & 0xFF:#x}, of which the CPU has five bits")


# -- a GICv2's ------------------------------------------------------------------------------------


_GICC_CTLR: Final[tuple[tuple[int, Callable[[CpuInterface], bool]], ...]] = (
    (0, lambda cpuif: cpuif.enabled[0]),
    (1, lambda cpuif: cpuif.enabled[1]),
    (2, lambda cpuif: cpuif.ack_ctl),
    (3, lambda cpuif: cpuif.fiq_enable),
    (4, lambda cpuif: cpuif.cbpr),
    (9, lambda cpuif: cpuif.eoi_mode),
)
_GICC_IDENT: Final = 0x04B2_043B
_ACTIVE: Final = (0xD0, 0xD4, 0xD8, 0xDC)


def _read_ctlr(cpuif: CpuInterface) -> int:
    return sum(test(cpuif) << bit for bit, test in _GICC_CTLR)


def _write_ctlr(cpuif: CpuInterface, value: int) -> None:
    cpuif.enabled[0], cpuif.enabled[1] = bool(value & 1), bool(value & 2)
    cpuif.ack_ctl, cpuif.fiq_enable = bool(value & 4), bool(value & 8)
    cpuif.cbpr, cpuif.eoi_mode = bool(value & 16), bool(value & 1 << 9)


def _write_pmr(cpuif: CpuInterface, value: int) -> None:
    cpuif.pmr = value << 3 & 0xF8


def _write_point(group: int) -> Callable[[CpuInterface, int], None]:
    def write(cpuif: CpuInterface, value: int) -> None:
        least = MIN_BPR1 if group else MIN_BPR0
        if value & 7 < least:
            raise NotModelled(f"a binary point of {value & 7}, which the CPU makes {least}")
        if group:
            cpuif.bpr1 = value & 7
        else:
            cpuif.bpr0 = value & 7

    return write


def _write_active(cpuif: CpuInterface, value: int) -> None:
    cpuif.active_priorities[0] = value
    cpuif.active_priorities[1] = 0


_Accessors = tuple[Callable[[CpuInterface], int], Callable[[CpuInterface, int], None] | None]
_GICC: Final[Mapping[int, _Accessors]] = {
    0x00: (_read_ctlr, _write_ctlr),
    0x04: (lambda cpuif: cpuif.pmr >> 3, _write_pmr),
    0x08: (lambda cpuif: cpuif.bpr0, _write_point(0)),
    0x1C: (lambda cpuif: cpuif.bpr1, _write_point(1)),
    0xD0: (lambda cpuif: cpuif.active_priorities[0] | cpuif.active_priorities[1], _write_active),
    **{offset: (lambda cpuif: 0, None) for offset in _ACTIVE[1:]},
    0xFC: (lambda cpuif: _GICC_IDENT, None),
}


_DIR: Final = 0x1000
"""``GICC_DIR``, which only a kernel that emulates it has here."""


def has_gicc(features: VgicFeatures, offset: int) -> None:
    if offset not in _GICC and not (offset == _DIR and features.gicv_dir_page_trapped):
        raise Refused(ENXIO)


def read_gicc(gic: Interrupts, offset: int, ran: bool) -> int:
    if offset not in _GICC:
        return 0
    if not ran and offset in (0x08, 0x1C):
        raise NotModelled("a binary point that KVM has not yet given to the CPU")
    return _GICC[offset][0](gic.cpuif)


def write_gicc(gic: Interrupts, offset: int, value: int) -> None:
    if offset == _DIR and gic.features.gicv_dir_page_trapped:
        raise NotModelled("a VMM that writes GICC_DIR")
    known = _GICC.get(offset)
    if known is not None and known[1] is not None:
        known[1](gic.cpuif, value)

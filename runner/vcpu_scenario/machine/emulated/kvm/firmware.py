"""KVM's own registers for a VMM: its PSCI version, workarounds and which hypercalls there are.

``Documentation/virt/kvm/arm/fw-pseudo-registers.rst``.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY, EINVAL
from typing import Final

from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import (
    KVM_REG_ARM_PSCI_VERSION,
    KVM_REG_ARM_STD_BMAP,
    KVM_REG_ARM_STD_HYP_BMAP,
    KVM_REG_ARM_VENDOR_HYP_BMAP,
    KVM_REG_ARM_VENDOR_HYP_BMAP_2,
    KVM_REG_ARM_WORKAROUND_1,
    KVM_REG_ARM_WORKAROUND_2,
    KVM_REG_ARM_WORKAROUND_3,
)
from vcpu_scenario.machine.emulated.kvm.access import Access, Read
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu

PSCI_0_1: Final = 1
_PSCI_0_2: Final = 2
_PSCI_1_0: Final = 0x1_0000

VENDOR_UID: Final = 1 << 0
VENDOR_PTP: Final = 1 << 1
_OFFERED: Final = {
    KVM_REG_ARM_STD_BMAP: 1,  # the TRNG
    KVM_REG_ARM_STD_HYP_BMAP: 1,  # stolen time
    KVM_REG_ARM_VENDOR_HYP_BMAP: VENDOR_UID | VENDOR_PTP,
}
_OFFERED_ON_DEMAND: Final = 3
"""Of the second bitmap of vendor hypercalls: what implementations of CPUs a VM may meet."""


def firmware_registers(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    if behaviour.psci_version_register:
        yield KVM_REG_ARM_PSCI_VERSION, (psci_version, _set_psci_version)
    if behaviour.workaround_registers:
        yield KVM_REG_ARM_WORKAROUND_1, _workaround(lambda vcpu: vcpu.model.workarounds[0])
        yield KVM_REG_ARM_WORKAROUND_2, _workaround(lambda _vcpu: 0, most=1)
    if behaviour.smccc_workaround_3_in_hyp:
        yield KVM_REG_ARM_WORKAROUND_3, _workaround(lambda vcpu: vcpu.model.workarounds[1])
    if behaviour.hypercall_bitmaps:
        for reg, offered in _OFFERED.items():
            yield reg, _bitmap(reg, offered, offered)
    if behaviour.hypercall_bitmap_2:
        reg = KVM_REG_ARM_VENDOR_HYP_BMAP_2
        yield reg, _bitmap(reg, 0, _OFFERED_ON_DEMAND)


def offers(vcpu: Vcpu, reg: int, bits: int) -> bool:
    """Whether the bitmap ``reg`` lets the guest have these hypercalls."""
    return vcpu.firmware.get(reg, _OFFERED[reg]) & bits == bits


# -- PSCI ------------------------------------------------------------------------------------------


def psci_version(vcpu: Vcpu) -> int:
    """Major << 16 | minor: the newest that this kernel has, or what the VMM asked for."""
    if not vcpu.psci_0_2:
        return PSCI_0_1
    chosen = vcpu.firmware.get(KVM_REG_ARM_PSCI_VERSION)
    return newest_psci(vcpu.behaviour) if chosen is None else chosen


def newest_psci(behaviour: Behaviour) -> int:
    if not behaviour.psci_1_0:
        return _PSCI_0_2
    if not behaviour.psci_1_1:
        return _PSCI_1_0
    return _PSCI_1_0 | (3 if behaviour.psci_1_3 else 1)


def _set_psci_version(vcpu: Vcpu, value: int) -> None:
    known = (_PSCI_0_2, *range(_PSCI_1_0, newest_psci(vcpu.behaviour) + 1))
    if not vcpu.psci_0_2:
        known = (PSCI_0_1,)
    if value not in known:
        raise Refused(EINVAL)
    vcpu.firmware[KVM_REG_ARM_PSCI_VERSION] = value


# -- the others ------------------------------------------------------------------------------------


def _workaround(read: Read, most: int = 0) -> Access:
    """A workaround that the CPU knows nothing of is at level 0; what a VMM says of the host it
    comes from may not promise more."""

    def write(vcpu: Vcpu, value: int) -> None:
        if value > max(read(vcpu), most):
            raise Refused(EINVAL)

    return read, write


def _bitmap(reg: int, default: int, offered: int) -> Access:
    def read(vcpu: Vcpu) -> int:
        return vcpu.firmware.get(reg, default)

    def write(vcpu: Vcpu, value: int) -> None:
        if value & ~offered:
            raise Refused(EINVAL)
        if vcpu.vm.has_run and value != read(vcpu):
            raise Refused(EBUSY)
        vcpu.firmware[reg] = value

    return read, write

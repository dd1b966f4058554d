"""``KVM_ARM_GET_REG_WRITABLE_MASKS``, as Debian's kernels answered: the same on every CPU."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EINVAL
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.ioctls.vm import GetRegWritableMasks
from vcpu_scenario.kvm.registers import sys_reg
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError, Lacking, NotModelled

_ALL: Final = (1 << 64) - 1
_WORD: Final = 0xFFFF_FFFF

_FIRST: Final[Mapping[Encoding, int]] = {
    sysregs.ID_AA64PFR0_EL1: 0xFFFF_00F0_0F00_FFFF,
    sysregs.ID_AA64PFR1_EL1: 0xF_0000_00FF,
    sysregs.ID_AA64PFR2_EL1: 0xF_0000_0000,
    sysregs.ID_AA64ZFR0_EL1: 0x0FF0_FF0F_0FFF_00FF,
    sysregs.ID_AA64FPFR0_EL1: 0xF000_0003,
    sysregs.ID_AA64DFR0_EL1: 0xF0_00F0_0F0F,
    sysregs.ID_AA64ISAR0_EL1: 0xFFFF_FFFF_FFFF_FFF0,
    sysregs.ID_AA64ISAR1_EL1: 0xFFFF_FFFF_00FF_F00F,
    sysregs.ID_AA64ISAR2_EL1: 0xFFFF_0FFF_FFFF_00FF,
    sysregs.ID_AA64MMFR0_EL1: 0xFF00_F000_FFFF_FF0F,
    sysregs.ID_AA64MMFR1_EL1: 0xFFFF_F0F0_0FFF_F00F,
    sysregs.ID_AA64MMFR2_EL1: 0xF0FF_000F_F00F_FFFF,
    sysregs.ID_AA64MMFR3_EL1: 0xF_0F0F,
    sysregs.CLIDR_EL1: 0x7FFF_FFFF_FFFF,
    sysregs.CTR_EL0: 0x300F_000F,
}
_AARCH32: Final = tuple(
    (3, 0, 0, crm, op2)
    for crm, every in ((1, (0, 1, 2, 4, 5, 6, 7)), (2, range(8)), (3, (0, 1, 2, 4, 6)))
    for op2 in every
)
"""Its ID registers, but ID_AFR0_EL1 and ID_DFR1_EL1."""
_LATER: Final[Mapping[str, Mapping[Encoding, int]]] = {
    "aarch32_id_writable": dict.fromkeys(_AARCH32, _WORD),
    "id_pmu_signed": {sysregs.ID_DFR0_EL1: 0x0F00_000F},
    "id_stage_2_granules_writable": {sysregs.ID_AA64MMFR0_EL1: 0xFFF << 32},
    "ctr_policy_writable": {sysregs.CTR_EL0: 0xC000},
    "id_ras_writable": {sysregs.ID_AA64PFR0_EL1: 0xF << 28},
    "implementation_id_writable": {
        sysregs.MIDR_EL1: _WORD,
        sysregs.REVIDR_EL1: _ALL,
        sysregs.AIDR_EL1: _ALL,
    },
    "id_isar3_masked": {
        sysregs.ID_AA64ZFR0_EL1: 0xF << 48 | 0xF << 12,
        sysregs.ID_AA64FPFR0_EL1: 0b11 << 26,
        sysregs.ID_AA64ISAR2_EL1: 0xF << 44,
        sysregs.ID_AA64ISAR3_EL1: 0xF000_00F0,
        sysregs.ID_AA64MMFR4_EL1: 0xF << 20,
    },
    "id_df2_masked": {
        sysregs.ID_AA64PFR1_EL1: 0xF << 56 | 0xF << 12,
        sysregs.ID_AA64PFR2_EL1: 0xFF << 4,
        sysregs.ID_AA64MMFR3_EL1: 0xF << 4,
    },
    "id_lsui_masked": {
        sysregs.ID_AA64PFR2_EL1: 0xF << 12,
        sysregs.ID_AA64FPFR0_EL1: 0x80FC,
        sysregs.ID_AA64ISAR3_EL1: 0x0F0F_0000,
        sysregs.ID_AA64MMFR1_EL1: 0xF0F << 32,
    },
}
"""What a rule adds."""
_TME: Final = 0xF << 24


def writable_masks(vcpu: Vcpu, asked: GetRegWritableMasks) -> Mapping[int, int]:
    """``kvm_vm_ioctl_get_reg_writable_masks``."""
    what = "KVM_ARM_GET_REG_WRITABLE_MASKS"
    if not vcpu.behaviour.id_registers_writable:  # with which it came
        raise Lacking(EINVAL, what)
    if asked.range or asked.reserved:
        raise KvmError(EINVAL, what)
    if not vcpu.behaviour.reg_masks_seen:
        raise NotModelled(f"{what} of kernels other than 6.12, 6.16, 6.17 and 7.2")
    masks = dict(_FIRST)
    for rule, added in _LATER.items():
        if getattr(vcpu.behaviour, rule):
            for encoding, bits in added.items():
                masks[encoding] = masks.get(encoding, 0) | bits
    if vcpu.behaviour.id_lsui_masked:
        masks[sysregs.ID_AA64ISAR0_EL1] &= ~_TME
    return {sys_reg(*encoding): mask for encoding, mask in masks.items()}

"""Register names and their ``KVM_GET_ONE_REG`` ids.

A system register's id carries its encoding (op0, op1, CRn, CRm, op2); a core register's is the
offset of its field in ``struct kvm_regs`` in units of 32 bits
(``arch/arm64/include/uapi/asm/kvm.h``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding

KVM_REG_ARM64: Final = 0x6000_0000_0000_0000
KVM_REG_SIZE_U64: Final = 0x0030_0000_0000_0000
_SIZE_SHIFT: Final = 52
_CLASS: Final = 0xFFF << 16
CORE_WORDS: Final = 864 // 4
"""``struct kvm_regs`` in words of 32 bits."""
KVM_REG_ARM_CORE: Final = 0x0010 << 16
KVM_REG_ARM64_SYSREG: Final = 0x0013 << 16
KVM_REG_ARM_FW: Final = 0x0014 << 16

KVM_REG_ARM_DEMUX: Final = 0x0011 << 16
KVM_REG_ARM_FW_FEAT_BMAP: Final = 0x0016 << 16
KVM_REG_SIZE_U32: Final = 0x0020_0000_0000_0000
KVM_REG_SIZE_U128: Final = 0x0040_0000_0000_0000

_FIRMWARE: Final = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW
_BITMAP: Final = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW_FEAT_BMAP
KVM_REG_ARM_PSCI_VERSION: Final = _FIRMWARE | 0
KVM_REG_ARM_WORKAROUND_1: Final = _FIRMWARE | 1
KVM_REG_ARM_WORKAROUND_2: Final = _FIRMWARE | 2
KVM_REG_ARM_WORKAROUND_3: Final = _FIRMWARE | 3
KVM_REG_ARM_STD_BMAP: Final = _BITMAP | 0
KVM_REG_ARM_STD_HYP_BMAP: Final = _BITMAP | 1
KVM_REG_ARM_VENDOR_HYP_BMAP: Final = _BITMAP | 2
KVM_REG_ARM_VENDOR_HYP_BMAP_2: Final = _BITMAP | 3

KVM_REGISTERS_MOST: Final = 4096
"""No vCPU has so many."""


def size_of(reg_id: int) -> int:
    """Bytes of the register with this id (``KVM_REG_SIZE_MASK``)."""
    return 1 << (reg_id >> _SIZE_SHIFT & 0xF)


def resized(reg_id: int, size: int) -> int:
    """The same id of so many bytes."""
    return reg_id & ~(0xF << _SIZE_SHIFT) | size.bit_length() - 1 << _SIZE_SHIFT


def word_of(reg_id: int) -> int:
    """Where in ``struct kvm_regs`` a core register is, in words of 32 bits."""
    return reg_id & 0xFFFF


def is_core(reg_id: int) -> bool:
    return reg_id & _CLASS == KVM_REG_ARM_CORE


def is_firmware(reg_id: int) -> bool:
    return reg_id & _CLASS == KVM_REG_ARM_FW


def core_reg(byte_offset: int) -> int:
    """The id of the core register at ``byte_offset`` in ``struct kvm_regs``."""
    return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | byte_offset // 4


def sys_reg(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    """``ARM64_SYS_REG``: the id of a system register."""
    encoding = op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
    return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | encoding


def ccsidr(csselr: int) -> int:
    """The id of CCSIDR_EL1 as CSSELR_EL1 selects it (``KVM_REG_ARM_DEMUX_ID_CCSIDR``)."""
    return KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | csselr


# struct kvm_regs: regs[31], sp (SP_EL0), pc, pstate; sp_el1; elr_el1; spsr[5] (SPSR_EL1 first).
CORE_REGISTERS: Final = {
    **{f"x{n}": core_reg(8 * n) for n in range(31)},
    "sp_el0": core_reg(248),
    "pc": core_reg(256),
    "pstate": core_reg(264),
    "sp_el1": core_reg(272),
    "elr_el1": core_reg(280),
    "spsr_el1": core_reg(288),
    # Those of AArch32, which KVM keeps for a vCPU that has none.
    **{
        f"spsr_{mode}": core_reg(296 + 8 * n) for n, mode in enumerate(("abt", "und", "irq", "fiq"))
    },
}
# fp_regs: vregs[32], 16 bytes each from a multiple of 16; fpsr, fpcr, 4 bytes each.
_VREGS: Final = 336
FP_REGISTERS: Final = {
    **{
        f"v{n}": KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | (_VREGS + 16 * n) // 4
        for n in range(32)
    },
    "fpsr": KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | (_VREGS + 512) // 4,
    "fpcr": KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | (_VREGS + 516) // 4,
}

OTHER_REGISTERS: Final = {
    **FP_REGISTERS,
    "cntv_ctl_el0": sys_reg(*sysregs.CNTV_CTL_EL0),
    # In the uAPI the ids of these two are swapped.
    "cntv_cval_el0": sys_reg(*sysregs.CNTVCT_EL0),
    "cntvct_el0": sys_reg(*sysregs.CNTV_CVAL_EL0),
    "cntp_ctl_el0": sys_reg(*sysregs.CNTP_CTL_EL0),
    "cntp_cval_el0": sys_reg(*sysregs.CNTP_CVAL_EL0),
    "cntpct_el0": sys_reg(*sysregs.CNTPCT_EL0),
    # Of the firmware, as the uAPI calls them behind KVM_REG_ARM_.
    "psci_version": KVM_REG_ARM_PSCI_VERSION,
    "smccc_arch_workaround_1": KVM_REG_ARM_WORKAROUND_1,
    "smccc_arch_workaround_2": KVM_REG_ARM_WORKAROUND_2,
    "smccc_arch_workaround_3": KVM_REG_ARM_WORKAROUND_3,
    "std_bmap": KVM_REG_ARM_STD_BMAP,
    "std_hyp_bmap": KVM_REG_ARM_STD_HYP_BMAP,
    "vendor_hyp_bmap": KVM_REG_ARM_VENDOR_HYP_BMAP,
    "vendor_hyp_bmap_2": KVM_REG_ARM_VENDOR_HYP_BMAP_2,
}
"""Ids by name, for the registers that scenarios name beside the core and the system ones."""


def _named(names: str) -> dict[str, Encoding]:
    return {name: getattr(sysregs, name.upper()) for name in names.split()}


def _bank(name: str, encodings: Sequence[Encoding], el: int = 1) -> dict[str, Encoding]:
    return {f"{name}{n}_el{el}": encoding for n, encoding in enumerate(encodings)}


SYSTEM_REGISTERS: Final = {
    **_named("mdscr_el1 mdccint_el1 osdtrrx_el1 osdtrtx_el1 oslar_el1 oslsr_el1 osdlr_el1"),
    **_bank("dbgbvr", sysregs.DBGBVR_EL1),
    **_bank("dbgbcr", sysregs.DBGBCR_EL1),
    **_bank("dbgwvr", sysregs.DBGWVR_EL1),
    **_bank("dbgwcr", sysregs.DBGWCR_EL1),
    **_named("dbgvcr32_el2 midr_el1 mpidr_el1 revidr_el1 id_pfr0_el1 id_pfr1_el1 id_pfr2_el1"),
    **_named("id_dfr0_el1 id_afr0_el1 id_mmfr0_el1 id_mmfr1_el1 id_mmfr2_el1 id_mmfr3_el1"),
    **_named("id_mmfr4_el1 id_isar0_el1 id_isar1_el1 id_isar2_el1 id_isar3_el1 id_isar4_el1"),
    **_named("id_isar5_el1 id_isar6_el1 mvfr0_el1 mvfr1_el1 mvfr2_el1 id_aa64pfr0_el1"),
    **_named("id_aa64pfr1_el1 id_aa64pfr2_el1 id_aa64zfr0_el1 id_aa64fpfr0_el1 id_aa64dfr0_el1"),
    **_named("id_aa64dfr1_el1 id_aa64afr0_el1 id_aa64afr1_el1 id_aa64isar0_el1 id_aa64isar1_el1"),
    **_named("id_aa64isar2_el1 id_aa64isar3_el1 id_aa64mmfr0_el1 id_aa64mmfr1_el1"),
    **_named("id_aa64mmfr2_el1 id_aa64mmfr3_el1 id_aa64mmfr4_el1 clidr_el1 aidr_el1 sctlr_el1"),
    **_named("actlr_el1 cpacr_el1 ttbr0_el1 ttbr1_el1 tcr_el1 tcr2_el1 afsr0_el1 afsr1_el1"),
    **_named("esr_el1 far_el1 par_el1 mair_el1 pire0_el1 pir_el1 amair_el1 vbar_el1 disr_el1"),
    **_named("contextidr_el1 tpidr_el1 cntkctl_el1 csselr_el1 ctr_el0 tpidr_el0 tpidrro_el0"),
    **_named("dacr32_el2 ifsr32_el2 fpexc32_el2"),
    **_named("pmcr_el0 pmcntenset_el0 pmcntenclr_el0 pmintenset_el1 pmintenclr_el1"),
    **_named("pmovsset_el0 pmovsclr_el0 pmswinc_el0 pmselr_el0 pmccntr_el0 pmccfiltr_el0"),
    **_named("pmuserenr_el0"),
    **_bank("pmevcntr", sysregs.PMEVCNTR_EL0, 0),
    **_bank("pmevtyper", sysregs.PMEVTYPER_EL0, 0),
}
"""Name to (op0, op1, CRn, CRm, op2), for the registers that scenarios name."""

_NAMES: Final = {encoding: name for name, encoding in SYSTEM_REGISTERS.items()}


def name_of(encoding: Encoding) -> str:
    """What a system register is called: by the assembler's generic form if it has no name here."""
    op0, op1, crn, crm, op2 = encoding
    return _NAMES.get(encoding) or f"s{op0}_{op1}_c{crn}_c{crm}_{op2}"


_BY_ID: Final = {
    **{sys_reg(*encoding): name for name, encoding in SYSTEM_REGISTERS.items()},
    **{reg: name for name, reg in (OTHER_REGISTERS | CORE_REGISTERS).items()},
}


def name_of_id(reg_id: int) -> str:
    """What the system register with this id is called."""
    fields = ((14, 3), (11, 7), (7, 15), (3, 15), (0, 7))
    op0, op1, crn, crm, op2 = (reg_id >> shift & most for shift, most in fields)
    return name_of((op0, op1, crn, crm, op2))


def said(reg_id: int) -> str:
    """The id, and what the register is called where it has a name."""
    name = _BY_ID.get(reg_id)
    return f"{reg_id:#x}" if name is None else f"{reg_id:#x} ({name})"


FEATURE_IDS: Final = tuple(
    sys_reg(3, op1, 0, crm, op2) for op1 in (0, 1, 3) for crm in range(8) for op2 in range(8)
)
"""The registers that tell features (``KVM_ARM_FEATURE_ID_RANGE``), in the order of their masks."""

ALIASES: Final = {"sp": "sp_el1", "lr": "x30", "fp": "x29"}

_GENERIC = re.compile(r"s([23])_([0-7])_c(\d+)_c(\d+)_([0-7])\Z")
_RAW: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}\Z")


def reg_id(name: str) -> int | None:
    """The id of the register ``name``, or None where no register is called so.

    Takes core registers, those of SIMD and floating point, those of the timers and the firmware,
    named system registers, the aliases ``sp`` ``lr`` ``fp``, the assembler's generic form
    ``s3_0_c15_c0_0``, and an id as it is, ``0x6030000000100042``.
    """
    name = ALIASES.get(name, name)
    if (core := CORE_REGISTERS.get(name) or OTHER_REGISTERS.get(name)) is not None:
        return core
    if (encoding := SYSTEM_REGISTERS.get(name)) is not None:
        return sys_reg(*encoding)
    if match := _GENERIC.match(name):
        op0, op1, crn, crm, op2 = map(int, match.groups())
        if crn < 16 and crm < 16:
            return sys_reg(op0, op1, crn, crm, op2)
    return int(name, 16) if _RAW.match(name) else None


@cache
def id_of(name: str) -> int:
    """The register's id; the loader has already refused names that have none."""
    found = reg_id(name)
    if found is None:
        raise ValueError(f"no register is called {name!r}")
    return found

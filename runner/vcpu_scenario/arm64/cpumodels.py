"""CPUs under KVM, by QEMU's names: what tells one from another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding


class CpuModel(Struct, frozen=True):
    """A CPU without EL3, with a GICv3: ``id_registers`` are what it reports (0 where
    they do not say), ``midr`` is MIDR_EL1, ``clidr`` CLIDR_EL1, ``ccsidr`` CCSIDR_EL1 by what
    CSSELR_EL1 selects, and ``pmcr`` PMCR_EL0 at reset, as QEMU 7.2 has them.

    ``armv8_2`` says that it has the instructions of Armv8.2 (LSE, LDAPR, PAN, FP16, dot product),
    and ``pa_bits`` is the width of its physical addresses.
    """

    name: str
    midr: int
    id_registers: Mapping[Encoding, int]
    clidr: int
    ccsidr: tuple[int, int, int]
    pmcr: int
    pmu_counters: int = 0
    """Those of its PMU beside the cycle counter; 0 where no vCPU with a PMU was looked at."""
    armv8_2: bool = False
    pa_bits: int = 44
    kernels: str = ""
    """The range of those on which it was recorded, as KVM differs with VHE; empty where on all."""
    workarounds: tuple[int, int] = (0, 0)
    """What KVM says of SMCCC_ARCH_WORKAROUND_1 and 3: 0 where there is none, 1 where there is, 2
    where the CPU needs none."""

    @property
    def ras(self) -> bool:
        """Whether it has the RAS extension, so that an SError given to a guest has a syndrome."""
        return bool(self.id_registers[sysregs.ID_AA64PFR0_EL1] >> 28 & 0xF)


CORTEX_A57: Final = CpuModel(
    "cortex-a57",
    midr=0x411F_D070,
    clidr=0x0A20_0023,
    ccsidr=(0x701F_E00A, 0x201F_E012, 0x70FF_E07A),
    pmcr=0x4101_3000,
    pmu_counters=6,
    id_registers={
        sysregs.ID_AA64PFR0_EL1: 0x0100_0222,
        sysregs.ID_AA64DFR0_EL1: 0x1030_5106,
        sysregs.ID_AA64ISAR0_EL1: 0x0001_1120,
        sysregs.ID_AA64MMFR0_EL1: 0x0000_1124,
        sysregs.ID_PFR0_EL1: 0x0000_0131,
        sysregs.ID_PFR1_EL1: 0x1001_1001,
        sysregs.ID_DFR0_EL1: 0x0301_0006,
        sysregs.ID_MMFR0_EL1: 0x1010_1105,
        sysregs.ID_MMFR1_EL1: 0x4000_0000,
        sysregs.ID_MMFR2_EL1: 0x0126_0000,
        sysregs.ID_MMFR3_EL1: 0x0210_2211,
        sysregs.ID_ISAR0_EL1: 0x0210_1110,
        sysregs.ID_ISAR1_EL1: 0x1311_2111,
        sysregs.ID_ISAR2_EL1: 0x2123_2042,
        sysregs.ID_ISAR3_EL1: 0x0111_2131,
        sysregs.ID_ISAR4_EL1: 0x0001_1142,
        sysregs.ID_ISAR5_EL1: 0x0001_1121,
        sysregs.MVFR0_EL1: 0x1011_0222,
        sysregs.MVFR1_EL1: 0x1211_1111,
        sysregs.MVFR2_EL1: 0x0000_0043,
    },
)
CORTEX_A72: Final = replace(
    CORTEX_A57,
    name="cortex-a72",
    midr=0x410F_D083,
    ccsidr=(0x701F_E00A, 0x201F_E012, 0x707F_E07A),
    pmcr=0x4102_3000,
    id_registers={**CORTEX_A57.id_registers, sysregs.ID_MMFR0_EL1: 0x1020_1105},
)
_OF_A76: Final = {
    sysregs.ID_AA64PFR0_EL1: 0x1100_0000_1111_0112,
    sysregs.ID_AA64PFR1_EL1: 0x10,
    sysregs.ID_AA64DFR0_EL1: 0x1030_5408,
    sysregs.ID_AA64ISAR0_EL1: 0x0000_1000_1021_1120,
    sysregs.ID_AA64ISAR1_EL1: 0x0010_0001,
    sysregs.ID_AA64MMFR0_EL1: 0x0010_1122,
    sysregs.ID_AA64MMFR1_EL1: 0x1021_2122,
    sysregs.ID_AA64MMFR2_EL1: 0x0000_1011,
    sysregs.ID_PFR0_EL1: 0x0001_0131,
    sysregs.ID_PFR1_EL1: 0x1001_0000,
    sysregs.ID_PFR2_EL1: 0x11,
    sysregs.ID_DFR0_EL1: 0x0401_0008,
    sysregs.ID_MMFR0_EL1: 0x1020_1105,
    sysregs.ID_MMFR1_EL1: 0x4000_0000,
    sysregs.ID_MMFR2_EL1: 0x0126_0000,
    sysregs.ID_MMFR3_EL1: 0x0212_2211,
    sysregs.ID_MMFR4_EL1: 0x0002_1110,
    sysregs.ID_ISAR0_EL1: 0x0210_1110,
    sysregs.ID_ISAR1_EL1: 0x1311_2111,
    sysregs.ID_ISAR2_EL1: 0x2123_2042,
    sysregs.ID_ISAR3_EL1: 0x0111_2131,
    sysregs.ID_ISAR4_EL1: 0x0001_0142,
    sysregs.ID_ISAR5_EL1: 0x0101_1121,
    sysregs.ID_ISAR6_EL1: 0x10,
    sysregs.MVFR0_EL1: 0x1011_0222,
    sysregs.MVFR1_EL1: 0x1321_1111,
    sysregs.MVFR2_EL1: 0x0000_0043,
}
CORTEX_A76: Final = CpuModel(
    "cortex-a76",
    midr=0x414F_D0B1,
    clidr=0x8200_0023,
    ccsidr=(0x701F_E01A, 0x201F_E01A, 0x707F_E03A),
    pmcr=0x410B_3000,
    id_registers=_OF_A76,
    workarounds=(2, 1),
    armv8_2=True,
    pa_bits=40,
    kernels=">=5.10",
)
CPUS: Final[Mapping[str, CpuModel]] = {
    model.name: model for model in (CORTEX_A57, CORTEX_A72, CORTEX_A76)
}

"""Trapped system registers, and what the ID registers say."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

REGISTERS: Final[tuple[Rule, ...]] = (
    Rule(
        "id_registers_trapped",
        (">=4.15",),
        "reading an ID register traps (HCR_EL2.TID3)",
        recorded("4.14 against 4.16, id-regs-step"),
        (
            Commit(
                "93390c0a1b20",
                "arm64: KVM: Hide unsupported AArch64 CPU features from guests",
                "4.15",
            ),
        ),
    ),
    Rule(
        "id_csv3_reported",
        (">=5.11",),
        "ID_AA64PFR0_EL1.CSV3 is 1 on a CPU that is safe from Meltdown",
        recorded("5.10 against 5.11, sysreg-trap-step"),
        (
            Commit(
                "4f1df628d4ec",
                "KVM: arm64: Advertise ID_AA64PFR0_EL1.CSV3=1 if the CPUs are Meltdown-safe",
                "5.11",
            ),
        ),
    ),
    Rule(
        "id_gic_hidden",
        (">=6.12",),
        "ID_AA64PFR0_EL1.GIC is 0 in a VM without a GICv3",
        recorded("6.2 against 6.12, sysreg-trap-step"),
        (
            Commit(
                "5cb57a1aff75",
                "KVM: arm64: Zero ID_AA64PFR0_EL1.GIC when no GICv3 is presented to the guest",
                "6.12",
            ),
        ),
    ),
    Rule(
        "id_gic_shown",
        (">=7.1",),
        "ID_AA64PFR0_EL1.GIC is 1 in a VM with a GICv3, even if its VMM wrote 0",
        recorded(
            "Debian's 6.17 against 7.2, the field written 0 and read by the guest; the selftest "
            "set_id_regs was made to expect it by b3265a1b2bd0 in 7.1, which says why: QEMU writes "
            "0. kvm_finalize_sys_regs asks kvm_vgic_finalize_idregs since the vGICv5 of 7.1; of "
            "that series no commit was found"
        ),
    ),
    Rule(
        "id_pmu_hidden",
        (">=5.11",),
        "the ID registers of a vCPU without a PMU show none",
        recorded("5.10 against 6.1, read from Debian's kernels; the trees of 5.9.1 and 5.11.14"),
        (
            Commit(
                "04355e41a603",
                "KVM: arm64: Set ID_AA64DFR0_EL1.PMUVer to 0 when no PMU support",
                "5.11",
            ),
        ),
    ),
    Rule(
        "id_debug_limited",
        ("5.12..6.6",),
        "ID_AA64DFR0_EL1.DebugVer says Armv8.0 where the CPU has more",
        recorded("Debian's 5.10, 6.1 and 6.12 on a Cortex-A76"),
        (
            Commit("94893fc9ad8c", "KVM: arm64: Limit the debug architecture to ARMv8.0", "5.12"),
            Commit(
                "9f9917bc71b0",
                "KVM: arm64: Bump up the default KVM sanitised debug version to v8p8",
                "6.7",
            ),
        ),
    ),
    Rule(
        "implementation_id_trapped",
        (">=6.15",),
        "reading REVIDR_EL1 and AIDR_EL1 traps (HCR_EL2.TID1)",
        recorded("6.12 against 6.16, read from Debian's kernels; the trees of 6.14 and 6.17"),
        (Commit("4cd48565b0e5", "KVM: arm64: Set HCR_EL2.TID1 unconditionally", "6.15"),),
    ),
    Rule(
        "ctr_trapped",
        (">=6.3",),
        "reading CTR_EL0 and the cache identification traps (HCR_EL2.TID2), and a VMM may say "
        "which caches there are",
        recorded("6.2 against 6.12, id-regs-step; Debian's 6.1 against 6.12, KVM_SET_ONE_REG"),
        (
            Commit("8cc6dedaff42", "KVM: arm64: Always set HCR_TID2", "6.3"),
            Commit("7af0c2534f4c", "KVM: arm64: Normalize cache configuration", "6.3"),
        ),
    ),
    Rule(
        "pmu_undefined",
        (">=5.11",),
        "PMU registers of a vCPU without a PMU are undefined; before, they read as zero",
        recorded("5.10 against 5.11, pmu-undef"),
        (
            Commit(
                "b0737e999ec0",
                "KVM: arm64: Inject UNDEF on PMU access when no PMU configured",
                "5.11",
            ),
        ),
    ),
    Rule(
        "os_lock_emulated",
        (">=5.18",),
        "the guest can set the OS lock, which holds its own debug exceptions back",
        source("the trees of 5.17-rc5 and 5.19"),
        (
            Commit("f24adc65c556", "KVM: arm64: Allow guest to set the OSLK bit", "5.18"),
            Commit("7dabf02f43a1", "KVM: arm64: Emulate the OS Lock", "5.18"),
        ),
    ),
    Rule(
        "sgi_undefined_without_gic",
        ("6.1", ">=6.11"),
        "writing ICC_SGI1R_EL1 in a VM without a GICv3 is undefined (also in stable kernels of "
        "August 2024 and later); before, the SGI goes nowhere",
        recorded("Debian's 5.10.223 against 6.1.192 and 6.12"),
        (
            Commit(
                "3e6245ebe7ef",
                "KVM: arm64: Make ICC_*SGI*_EL1 undef in the absence of a vGICv3",
                "6.11",
            ),
        ),
    ),
    Rule(
        "icc_undefined_without_gic",
        (">=6.12",),
        "the GICv3 CPU interface is undefined in a VM without one",
        recorded("6.2 against 6.12, icc-nogic"),
        (
            Commit(
                "4a999a1d7ae5", "KVM: arm64: Make most GICv3 accesses UNDEF if they trap", "6.12"
            ),
            Commit(
                "5739a961b542", "KVM: arm64: Force SRE traps when SRE access is not enabled", "6.12"
            ),
        ),
    ),
)

"""Which registers ``KVM_GET_REG_LIST`` has for a VMM, on the releases before 5.10."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, source

REG_LIST: Final[tuple[Rule, ...]] = (
    Rule(
        "id_registers_listed",
        (">=4.15",),
        "the ID registers are registers of a VMM; before, those of AArch32 alone, without "
        "ID_MMFR4_EL1 and MVFR0_EL1 to MVFR2_EL1",
        source("invariant_sys_regs, of which the commit takes them; selftest get-reg-list.c"),
        (
            Commit(
                "93390c0a1b20",
                "arm64: KVM: Hide unsupported AArch64 CPU features from guests",
                "4.15",
            ),
        ),
    ),
    Rule(
        "disr_listed",
        (">=4.16",),
        "DISR_EL1 is a register of a VMM",
        source("Message-ID 20201029201703.102716-3-drjones@redhat.com"),
        (Commit("c773ae2b3476", "KVM: arm64: Save/Restore guest DISR_EL1", "4.16"),),
    ),
    Rule(
        "psci_version_register",
        (">=4.17",),
        "there is KVM_REG_ARM_PSCI_VERSION (in stable kernels of May 2018 and later as well)",
        source("kvm_arm_get_fw_reg"),
        (Commit("85bd0ba1ff98", "arm/arm64: KVM: Add PSCI version selection API", "4.17"),),
    ),
    Rule(
        "core_ids_checked",
        (">=4.19",),
        "an id within the core registers where none of that size begins is EINVAL; before, it is "
        "those bytes of struct kvm_regs (in stable kernels of October 2018 and later as well)",
        source("validate_core_offset"),
        (
            Commit(
                "d26c25a9d19b",
                "arm64: KVM: Tighten guest core register access from userspace",
                "4.19",
            ),
        ),
    ),
    Rule(
        "core_ids_listed",
        (">=5.2",),
        "the list has the ids of core registers; before, one of 64 bits for each 32 bits of struct "
        "kvm_regs, most of which are EINVAL since 4.19 (mended in 4.14.313 and 4.19.281 as well)",
        source("copy_core_reg_indices; firecracker-microvm/firecracker#3606"),
        (
            Commit(
                "df205b5c6328",
                "KVM: arm64: Filter out invalid core register IDs in KVM_GET_REG_LIST",
                "5.2",
            ),
        ),
    ),
    Rule(
        "workaround_registers",
        (">=5.3",),
        "KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1 and _2 are registers of a VMM; before, since 4.17, "
        "EINVAL, as each id of the firmware that is none",
        source("kvm_arm_get_fw_reg before and after the commit"),
        (
            Commit(
                "99adb567632b",
                "KVM: arm/arm64: Add save/restore support for firmware workaround state",
                "5.3",
            ),
        ),
    ),
    Rule(
        "pmcr_listed",
        (">=5.3",),
        "PMCR_EL0 is a register of a VMM",
        source("Message-ID 20201029201703.102716-3-drjones@redhat.com"),
        (Commit("03fdfb269009", "KVM: arm64: Don't write junk to sysregs on reset", "5.3"),),
    ),
    Rule(
        "zfr0_hidden",
        ("5.2..5.9",),
        "ID_AA64ZFR0_EL1 is no register of a VMM on a CPU without SVE (mended in 5.9.9 as well)",
        source("sve_id_visibility, and the thread of the repair"),
        (Commit("f81cb2c3ad41", "KVM: arm64: Don't hide ID registers from userspace", "5.10"),),
    ),
)

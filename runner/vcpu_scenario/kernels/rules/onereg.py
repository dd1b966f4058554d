"""What ``KVM_GET_ONE_REG``, ``KVM_SET_ONE_REG`` and ``KVM_ARM_VCPU_INIT`` have for a VMM."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded

_ALL: Final = "every value of every field, KVM_SET_ONE_REG"
_MASKS: Final = "KVM_ARM_GET_REG_WRITABLE_MASKS"

ONE_REG: Final[tuple[Rule, ...]] = (
    Rule(
        "id_registers_writable",
        (">=6.7",),
        "a VMM may take features out of the ID registers before the vCPU first runs, then they "
        "are EBUSY; before, a value that is not the kernel's own is EINVAL",
        recorded(f"Debian's 6.1 against 6.12, {_ALL}; pull request for 6.7"),
    ),
    Rule(
        "aarch32_id_writable",
        ("6.7..6.12", ">=6.17"),
        "those of AArch32 among them",
        recorded(
            f"Debian's 6.12, 6.16 and 6.17, {_ALL}; AA32_ID_SANITISED has an empty mask in the "
            "trees of 6.13.7 and 6.14"
        ),
    ),
    Rule(
        "vcpu_ids_reset_once",
        (">=6.10",),
        "MPIDR_EL1 and CLIDR_EL1 of a vCPU keep what a VMM wrote when it is reset",
        recorded("Debian's 6.12, KVM_ARM_VCPU_INIT after KVM_SET_ONE_REG; 6.10 by the commit"),
        (
            Commit(
                "e016333745c7", "KVM: arm64: Only reset vCPU-scoped feature ID regs once", "6.10"
            ),
        ),
    ),
    Rule(
        "id_levels_stay",
        (">=6.16",),
        "ID_AA64PFR0_EL1.EL0 and EL1 cannot be written 0",
        recorded(f"Debian's 6.12 against 6.16, {_ALL}; not in the tree of 6.14"),
    ),
    Rule(
        "implementation_id_writable",
        (">=6.15",),
        "with KVM_CAP_ARM_WRITABLE_IMP_ID_REGS a VMM may write MIDR_EL1, REVIDR_EL1 and AIDR_EL1 "
        "before the vCPU first runs",
        recorded("Debian's 6.12 and 7.2, KVM_ENABLE_CAP and KVM_SET_ONE_REG"),
        (
            Commit(
                "3adaee783061",
                "KVM: arm64: Allow userspace to change the implementation ID registers",
                "6.15",
            ),
        ),
    ),
    Rule(
        "id_ras_writable",
        (">=6.17",),
        "a VMM may take the RAS extension out of ID_AA64PFR0_EL1",
        recorded(f"Debian's 6.12 and 6.17 on a Cortex-A76, {_ALL}"),
        (Commit("1fab657cb2a0", "KVM: arm64: Make ID_AA64PFR0_EL1.RAS writable", "6.17"),),
    ),
    Rule(
        "id_stage_2_granules_writable",
        (">=6.16",),
        "a VMM may say in ID_AA64MMFR0_EL1 that a granule is not there at stage 2",
        recorded(f"Debian's 6.12 against 6.16, {_ALL}; not in the tree of 6.14"),
    ),
    Rule(
        "id_pmu_signed",
        ("6.16..6.17",),
        "PMUVer and PerfMon of a vCPU without a PMU take values from 8 on, as if they were "
        "negative",
        recorded(f"Debian's 6.12, 6.16, 6.17 and 7.2, {_ALL}"),
    ),
    Rule(
        "ctr_writable",
        (">=6.11",),
        "a VMM may write shorter cache lines to CTR_EL0",
        recorded("Debian's 6.1 against 6.12, every bit of it, KVM_SET_ONE_REG"),
        (Commit("2843cae26644", "KVM: arm64: Treat CTR_EL0 as a VM feature ID register", "6.11"),),
    ),
    Rule(
        "ctr_policy_writable",
        (">=6.13",),
        "CTR_EL0.L1Ip may be written VIPT where the hardware is PIPT",
        recorded(
            "Debian's 6.12 against 6.16, every bit of it, KVM_SET_ONE_REG; in the tree of 6.13.7"
        ),
    ),
    Rule(
        "id_isar3_masked",
        ("6.16..6.17", "7.2"),
        "fields of ID_AA64ISAR3_EL1, and new ones of ID_AA64ISAR2_EL1, ID_AA64ZFR0_EL1, "
        "ID_AA64FPFR0_EL1 and ID_AA64MMFR4_EL1, are writable",
        recorded(f"Debian's 6.12 against 6.16, {_MASKS}"),
    ),
    Rule(
        "id_df2_masked",
        ("6.17", "7.2"),
        "DF2 and RAS_frac of ID_AA64PFR1_EL1, MTESTOREONLY and MTEFAR of ID_AA64PFR2_EL1, and "
        "SCTLRX of ID_AA64MMFR3_EL1 are writable",
        recorded(f"Debian's 6.16 against 6.17, {_MASKS}"),
    ),
    Rule(
        "id_lsui_masked",
        ("7.2",),
        "LSUI, LSFE and other new fields are writable; ID_AA64ISAR0_EL1.TME is not any more",
        recorded(f"Debian's 6.17 against 7.2, {_MASKS}"),
    ),
    Rule(
        "reset_keeps_el1_banked",
        (">=5.9",),
        "KVM_ARM_VCPU_INIT again leaves SP_EL1, ELR_EL1 and SPSR_EL1 as they were: they are no "
        "part of struct kvm_regs any more, which it clears",
        recorded(
            "Debian's 5.10, 6.12 and 7.2, KVM_ARM_VCPU_INIT after the guest has set them; no "
            "kernel before 5.9 was run"
        ),
        (Commit("710f1982187a", "KVM: arm64: Move SPSR_EL1 to the system register array", "5.9"),),
    ),
    Rule(
        "reset_clears_timer_compare",
        (">=6.18",),
        "KVM_ARM_VCPU_INIT again makes CNTV_CVAL_EL0 and CNTP_CVAL_EL0 0; before, they stay",
        recorded(
            "Debian's 5.10, 6.12, 6.17 and 7.2, KVM_ARM_VCPU_INIT after the guest has set them; "
            "6.18 by the commit, which gives them a value at reset"
        ),
        (
            Commit(
                "8af198980eff",
                "KVM: arm64: Move CNT*_CVAL_EL0 userspace accessors to generic infrastructure",
                "6.18",
            ),
        ),
    ),
    Rule(
        "reset_keeps_pending",
        (">=6.11",),
        "KVM_ARM_VCPU_INIT of a vCPU that has run leaves interrupt lines and a pending SError as "
        "they were; before, it takes them away",
        recorded(
            "Debian's 5.10, 6.1 and 6.12, KVM_ARM_VCPU_INIT after KVM_IRQ_LINE and "
            "KVM_SET_VCPU_EVENTS"
        ),
        (Commit("f1ff3fc5209a", "KVM: arm64: unify code to prepare traps", "6.11"),),
    ),
    Rule(
        "generic_target_accepted",
        (">=6.6",),
        "KVM_ARM_PREFERRED_TARGET is the generic target on every CPU, and KVM_ARM_VCPU_INIT takes "
        "it; before, they know the CPU's own alone",
        recorded("Debian's 5.10, 6.1, 6.12, 6.16, 6.17 and 7.2, both ioctls; 6.6 by the commit"),
        (
            Commit(
                "5346f7e13e5e",
                "KVM: arm64: Always return generic v8 as the preferred target",
                "6.6",
            ),
        ),
    ),
    Rule(
        "nested_features_known",
        (">=6.16",),
        "KVM_ARM_VCPU_INIT knows the features of a guest with EL2, which a host without nested "
        "virtualisation refuses with EINVAL; before, with ENOENT as those that are none",
        recorded("Debian's 5.10, 6.12, 6.16 and 7.2, KVM_ARM_VCPU_INIT; 6.16 by the commit"),
        (
            Commit(
                "a7484c80e5ca",
                "KVM: arm64: Allow userspace to request KVM_ARM_VCPU_EL2*",
                "6.16",
            ),
        ),
    ),
    Rule(
        "power_off_ephemeral",
        (">=6.5",),
        "KVM_ARM_VCPU_POWER_OFF is of one KVM_ARM_VCPU_INIT alone; before, it is one of the "
        "features that may not change",
        recorded("Debian's 6.1 against 6.12, KVM_ARM_VCPU_INIT; not in the tree of 6.4.6"),
        (
            Commit(
                "e3c1c0cae31e",
                "KVM: arm64: Relax invariance of KVM_ARM_VCPU_POWER_OFF",
                "6.5",
            ),
        ),
    ),
    Rule(
        "physical_timer_registers",
        (">=6.4",),
        "CNTP_CTL_EL0, CNTP_CVAL_EL0 and CNTPCT_EL0 are registers of a VMM",
        recorded("Debian's 6.1 against 6.12, KVM_GET_REG_LIST; the tree of 6.4.6"),
    ),
    Rule(
        "counter_offset",
        (">=6.4",),
        "there is KVM_ARM_SET_COUNTER_OFFSET, after which a VMM's writes to CNTVCT_EL0 and "
        "CNTPCT_EL0 are ignored",
        recorded("Debian's 6.1 against 6.12, KVM_ARM_SET_COUNTER_OFFSET"),
        (
            Commit(
                "30ec7997d175",
                "KVM: arm64: timers: Allow userspace to set the global counter offset",
                "6.4",
            ),
        ),
    ),
    Rule(
        "timer_control_plain",
        (">=6.18",),
        "KVM_GET_ONE_REG of CNTV_CTL_EL0 and CNTP_CTL_EL0 gives no ISTATUS",
        recorded("Debian's 6.17 against 7.2, every bit of them, KVM_SET_ONE_REG"),
        (
            Commit(
                "09424d5d7d4e",
                "KVM: arm64: Move CNT*_CTL_EL0 userspace accessors to generic infrastructure",
                "6.18",
            ),
        ),
    ),
    Rule(
        "permission_registers_listed",
        ("6.5..6.12",),
        "TCR2_EL1, PIRE0_EL1 and PIR_EL1 are registers of a VMM on a CPU that has none",
        recorded(
            "Debian's 6.1, 6.12 and 6.16, KVM_GET_REG_LIST; not in the tree of 6.4.6, and hidden "
            "in that of 6.13.7"
        ),
    ),
    Rule(
        "hypercall_bitmaps",
        (">=5.19",),
        "a VMM may take hypercalls away (KVM_REG_ARM_STD_BMAP and others)",
        recorded("Debian's 5.10 against 6.1, KVM_GET_REG_LIST"),
        (
            Commit(
                "05714cab7d63",
                "KVM: arm64: Setup a framework for hypercall bitmap firmware registers",
                "5.19",
            ),
            Commit("428fd6788d4d", "KVM: arm64: Add standard hypervisor firmware register", "5.19"),
            Commit("b22216e1a617", "KVM: arm64: Add vendor hypervisor firmware register", "5.19"),
        ),
    ),
    Rule(
        "hypercall_bitmap_2",
        (">=6.15",),
        "there is KVM_REG_ARM_VENDOR_HYP_BMAP_2: implementations of CPUs that a VM may meet",
        recorded(
            "Debian's 6.12 against 6.16, KVM_GET_REG_LIST; not in the tree of 6.14; pull request "
            "for 6.15"
        ),
        (Commit("c0000e58c74e", "KVM: arm64: Introduce KVM_REG_ARM_VENDOR_HYP_BMAP_2", "6.15"),),
    ),
)

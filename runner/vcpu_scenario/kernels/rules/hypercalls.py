"""HVC, SMC, PSCI and SMCCC."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

HYPERCALLS: Final[tuple[Rule, ...]] = (
    Rule(
        "affinities_indexed",
        (">=6.7",),
        "of vCPUs to which the VMM gave the same MPIDR_EL1 before the first run, PSCI finds the "
        "last; before, the first",
        recorded("Debian's 5.10 and 6.1 against 6.12 and 7.2, CPU_ON"),
        (Commit("5544750efd51", "KVM: arm64: Build MPIDR to vcpu index cache at runtime", "6.7"),),
    ),
    Rule(
        "smc_undefined",
        ("<=4.14",),
        "SMC is undefined in the guest",
        recorded("4.14 against 4.16, smc-step"),
        (
            Commit(
                "acfb3b883f6d",
                "arm64: KVM: Fix SMCCC handling of unimplemented SMC/HVC calls",
                "4.15",
            ),
        ),
    ),
    Rule(
        "smc_not_advanced",
        ("4.15",),
        "SMC answers -1 and pc stays on it: the guest is stuck",
        source("handle_smc in the trees of 4.15-rc9 and 4.16.13"),
        (Commit("f5115e8869e1", "arm64: KVM: Increment PC after handling an SMC trap", "4.16"),),
    ),
    Rule(
        "smc_is_smccc",
        (">=6.4",),
        "SMC #0 is answered as HVC #0 is; other SMCs answer -1",
        recorded("6.2 against 6.12, smc-step"),
        (Commit("c2d2e9b3d8ce", "KVM: arm64: Start handling SMCs from EL1", "6.4"),),
    ),
    Rule(
        "smccc_filter",
        (">=6.4",),
        "there is KVM_ARM_VM_SMCCC_FILTER: userspace answers the calls that it asks for, as "
        "KVM_EXIT_HYPERCALL",
        recorded("Debian's 6.1.192 against 6.12.118, KVM_HAS_DEVICE_ATTR of the VM"),
        (
            Commit(
                "821d935c87bc", "KVM: arm64: Introduce support for userspace SMCCC filtering", "6.4"
            ),
            Commit("d824dff1919b", "KVM: arm64: Add support for KVM_EXIT_HYPERCALL", "6.4"),
        ),
    ),
    Rule(
        "smccc_filter_of_nothing_refused",
        ("6.12", ">=7.2"),
        "an SMCCC filter of no functions is EINVAL from 0 on as well; before, that was all "
        "functions, which is EEXIST",
        recorded(
            "Debian's 6.12.118 and 7.2.13 against 6.16.12 and 6.17.13; 6.18 to 7.1 were not asked "
            "and no tree of them was seen: they are taken to be as 6.17. Before, the last function "
            "is compared with the first, and overflows from 0 on; no mail that mends it was found"
        ),
    ),
    Rule(
        "smccc_results_in_x0_to_x3",
        (">=4.16",),
        "an answer to a hypercall writes x0 to x3, with zeroes where it has no more",
        recorded("4.14 against 4.16, every PSCI call"),
        (Commit("84684fecd7ea", "arm/arm64: KVM: Add smccc accessors to PSCI code", "4.16"),),
    ),
    Rule(
        "smccc_1_1",
        (">=4.16",),
        "SMCCC_VERSION answers 1.1",
        recorded("4.14 against 4.16, psci-smccc_version-step"),
        (Commit("09e6be12effd", "arm/arm64: KVM: Advertise SMCCC v1.1", "4.16"),),
    ),
    Rule(
        "smccc_workaround_1_in_hyp",
        (">=4.16",),
        "SMCCC_ARCH_WORKAROUND_1 is answered in the exception vector: no exit, and x1 is lost",
        recorded("4.14 against 4.16, psci-wa1-step"),
        (Commit("f72af90c3783", "arm64: KVM: Add SMCCC_ARCH_WORKAROUND_1 fast handling", "4.16"),),
    ),
    Rule(
        "smccc_workaround_2_in_hyp",
        (">=4.18",),
        "SMCCC_ARCH_WORKAROUND_2 is answered in the exception vector",
        recorded("Debian's 5.10.223, 6.12.118 and 7.2.13, every SMCCC function"),
        (Commit("b4f18c063a13", "arm64: KVM: Handle guest's ARCH_WORKAROUND_2 requests", "4.18"),),
    ),
    Rule(
        "smccc_workaround_3_in_hyp",
        ("5.10", ">=5.17"),
        "SMCCC_ARCH_WORKAROUND_3 is answered in the exception vector (also in stable kernels of "
        "March 2022 and later)",
        recorded(
            "Debian's 5.10.223, 6.12.118 and 7.2.13, every SMCCC function; pulled for 5.17 with "
            "arm64-spectre-bhb-for-v5.17-2"
        ),
        (
            Commit(
                "a5905d6af492",
                "KVM: arm64: Allow SMCCC_ARCH_WORKAROUND_3 to be discovered and migrated",
                "5.17",
            ),
        ),
    ),
    Rule(
        "smccc_pv_time",
        (">=5.5",),
        "SMCCC_ARCH_FEATURES says that there is PV_TIME_FEATURES",
        recorded("Debian's 5.10.223, 6.12.118 and 7.2.13, every SMCCC function"),
        (Commit("b48c1a45a190", "KVM: arm64: Implement PV_TIME_FEATURES call", "5.5"),),
    ),
    Rule(
        "smccc_features_32bit",
        ("4.16..5.4",),
        "SMCCC_ARCH_FEATURES of an unknown function answers 0xffffffff",
        recorded("5.0 against 5.10, psci-arch_features-step"),
        (
            Commit(
                "55009c6ed2d2",
                "KVM: arm/arm64: Factor out hypercall handling from PSCI code",
                "5.5",
            ),
        ),
    ),
    Rule(
        "smccc_trng",
        (">=5.12",),
        "the TRNG functions are there",
        recorded("5.11 against 6.0, psci-trng-step"),
        (Commit("a8e190cdae1b", "KVM: arm64: implement the TRNG hypervisor call", "5.12"),),
    ),
    Rule(
        "smccc_vendor_hyp",
        (">=5.13",),
        "the vendor-specific UID tells the guest that it runs on KVM",
        recorded("5.11 against 6.0, psci-vendor_uid-step"),
        (Commit("923961a7ff2e", "KVM: arm64: Advertise KVM UID to guests via SMCCC", "5.13"),),
    ),
    Rule(
        "psci_1_0",
        (">=4.16",),
        "PSCI_VERSION answers 1.0, and there is PSCI_FEATURES",
        recorded("4.14 against 4.16, psci-version-step"),
        (Commit("58e0b2239a4d", "arm/arm64: KVM: Implement PSCI 1.0 support", "4.16"),),
    ),
    Rule(
        "psci_1_1",
        (">=5.18",),
        "PSCI_VERSION answers 1.1, and there is SYSTEM_RESET2",
        recorded("5.11 against 6.0, psci-version-step and psci-reset2"),
        (
            Commit("512865d83fd9", "KVM: arm64: Bump guest PSCI version to 1.1", "5.18"),
            Commit(
                "d43583b890e7", "KVM: arm64: Expose PSCI SYSTEM_RESET2 call to the guest", "5.18"
            ),
            Commit(
                "34739fd95fab",
                "KVM: arm64: Indicate SYSTEM_RESET2 in kvm_run::system_event flags field",
                "5.18",
            ),
        ),
    ),
    Rule(
        "psci_system_suspend",
        (">=5.19",),
        "with KVM_CAP_ARM_SYSTEM_SUSPEND, SYSTEM_SUSPEND exits to userspace",
        source("pull request for 5.19"),
        (Commit("bfbab4456877", "KVM: arm64: Implement PSCI SYSTEM_SUSPEND", "5.19"),),
    ),
    Rule(
        "vcpu_suspends",
        (">=5.19",),
        "there is KVM_MP_STATE_SUSPENDED: the vCPU waits, and an interrupt is a wakeup event",
        recorded("Debian's 5.10 against 6.12, KVM_SET_MP_STATE; pull request for 5.19"),
        (
            Commit(
                "7b33a09d036f",
                "KVM: arm64: Add support for userspace to suspend a vCPU",
                "5.19",
            ),
        ),
    ),
    Rule(
        "psci_arguments_narrowed",
        (">=5.7",),
        "32-bit functions of PSCI read the low halves of their arguments",
        source("kvm_psci_narrow_to_32bit in the tree of 5.10; the KVM/arm fixes pulled for 5.7"),
    ),
    Rule(
        "psci_affinity_checked",
        (">=5.15",),
        "CPU_ON and AFFINITY_INFO refuse an affinity with other bits set; before, those are "
        "ignored",
        source("kvm_psci_valid_affinity in the trees of 6.1 and 6.12, not in that of 5.10"),
        (
            Commit(
                "e10ecb4d6c07",
                "KVM: arm64: Enforce reserved bits for PSCI target affinities",
                "5.15",
            ),
        ),
    ),
    Rule(
        "psci_1_3",
        (">=6.13",),
        "PSCI_VERSION answers 1.3, and there is SYSTEM_OFF2",
        recorded("6.12 against 6.14, psci-version-step"),
        (
            Commit("8be82d536a9f", "KVM: arm64: Add support for PSCI v1.2 and v1.3", "6.13"),
            Commit(
                "97413cea1c48",
                "KVM: arm64: Add PSCI v1.3 SYSTEM_OFF2 function for hibernation",
                "6.13",
            ),
        ),
    ),
)

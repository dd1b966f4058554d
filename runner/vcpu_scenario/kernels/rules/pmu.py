"""The PMU of a vCPU with KVM_ARM_VCPU_PMU_V3."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded

PMU: Final[tuple[Rule, ...]] = (
    Rule(
        "pmu_init_required",
        (">=5.11",),
        "KVM_RUN of a vCPU whose PMU was not initialised is EINVAL; before, it runs, and the "
        "PMU's registers read as zero",
        recorded("Debian's 5.10 and 6.1"),
        (
            Commit(
                "9bbfa4b56537",
                "KVM: arm64: Refuse to run VCPU if PMU is not initialized",
                "5.11",
            ),
        ),
    ),
    Rule(
        "pmu_registers_narrow",
        (">=5.15",),
        "the PMU's registers reset to values that they can have, and what a VMM wrote to "
        "PMCR_EL0 takes effect at the first KVM_RUN",
        recorded("Debian's 5.10 and 6.1, KVM_GET_ONE_REG"),
        (
            Commit(
                "0ab410a93d62",
                "KVM: arm64: Narrow PMU sysreg reset values to architectural requirements",
                "5.15",
            ),
        ),
    ),
    Rule(
        "pmu_counters_narrow",
        (">=6.1",),
        "KVM_GET_ONE_REG of PMEVCNTRn_EL0 shows 32 bits; before, above them what was there and "
        "what the guest wrote there, added up, until an event of the host ends",
        recorded("Debian's 5.10 and 6.1, random programs; stable has it from 6.1.23 on"),
        (
            Commit(
                "9228b26194d1",
                "KVM: arm64: PMU: Fix GET_ONE_REG for vPMC regs to return the current value",
                "6.4",
            ),
        ),
    ),
    Rule(
        "pmu_chosen",
        (">=5.18",),
        "a VMM may choose which of the host's PMUs, KVM_ARM_VCPU_PMU_V3_SET_PMU",
        recorded("Debian's 5.10 and 6.1, KVM_HAS_DEVICE_ATTR"),
        (
            Commit(
                "6ee7fca2a4a0",
                "KVM: arm64: Add KVM_ARM_VCPU_PMU_V3_SET_PMU attribute",
                "5.18",
            ),
        ),
    ),
    Rule(
        "pmu_chain_counted",
        (">=6.1",),
        "of a chained pair the even counter overflows into the odd one; before, the two are one "
        "counter of 64 bits, and the even one does not overflow",
        recorded("Debian's 5.10 and 6.1.192, a guest that counts; mainline has it from 6.2 on"),
        (
            Commit(
                "bead02204e98",
                "KVM: arm64: PMU: Align chained counter implementation with architecture "
                "pseudocode",
                "6.2",
            ),
        ),
    ),
    Rule(
        "pmu_cycle_overflow_lost",
        ("6.1",),
        "PMCCNTR_EL0 wraps without its overflow flag, and without an interrupt",
        recorded("Debian's 5.10, 6.1 and 6.12, a guest that counts"),
    ),
    Rule(
        "pmu_overflow_of_any_counter",
        ("6.1", "6.12", ">=6.13"),
        "a counter whose flag and interrupt are set raises the PMU's line whether it is enabled or "
        "not (late 5.15.y, 6.1.y, 6.6.y and 6.12.y have it); before, only one that is",
        recorded("Debian's 5.10, 6.1, 6.12, 6.16, 6.17 and 7.2, a guest that sets PMCR_EL0.E"),
        (
            Commit(
                "54bbee190d42",
                "KVM: arm64: Ignore PMCNTENSET_EL0 while checking for overflow status",
                "6.13",
            ),
        ),
    ),
    Rule(
        "pmu_control_clean",
        (">=6.2",),
        "PMCR_EL0 resets to N alone and has no LP, and PMCEID0_EL0 has CHAIN; before, PMCR_EL0 "
        "shows the host's identification and what it was poisoned with",
        recorded("Debian's 6.1 and 6.12, a guest's reads; 6.2 by the pull request that has these"),
        (
            Commit("292e8f149476", "KVM: arm64: PMU: Simplify PMCR_EL0 reset handling", "6.2"),
            Commit(
                "64d6820d64c0", "KVM: arm64: PMU: Sanitise PMCR_EL0.LP on first vcpu run", "6.2"
            ),
            Commit("acdd8a4e13a0", "KVM: arm64: PMU: Always advertise the CHAIN event", "6.2"),
        ),
    ),
    Rule(
        "pmu_limits_writable",
        (">=6.7",),
        "a VMM may take counters away by PMCR_EL0.N before the vCPU first runs, flags of counters "
        "that are not there are lost, and event numbers have 10 bits",
        recorded(
            "Debian's 6.1 and 6.12, KVM_SET_ONE_REG and a guest's reads; 6.7 by its pull request"
        ),
        (
            Commit(
                "27131b199f9f",
                "KVM: arm64: Sanitize PM{C,I}NTEN{SET,CLR}, PMOVS{SET,CLR} before first run",
                "6.7",
            ),
            Commit(
                "ea9ca904d24f",
                "KVM: arm64: PMU: Allow userspace to limit PMCR_EL0.N for the guest",
                "6.7",
            ),
            Commit(
                "bc512d6a9b92",
                "KVM: arm64: Make PMEVTYPER<n>_EL0.NSH RES0 if EL2 isn't advertised",
                "6.7",
            ),
        ),
    ),
    Rule(
        "pmu_flags_plain",
        (">=6.15",),
        "KVM_SET_ONE_REG of PMCNTENSET_EL0, PMCNTENCLR_EL0 and their like is the new value; from "
        "6.7 on it sets or clears bits, as the guest's write does",
        recorded("Debian's 6.12 and 6.16, KVM_SET_ONE_REG"),
        (
            Commit(
                "f2aeb7bbd574",
                "KVM: arm64: PMU: Set raw values from user to PM{C,I}NTEN{SET,CLR}, PMOVS{SET,CLR}",
                "6.15",
            ),
        ),
    ),
    Rule(
        "pmu_counters_chosen",
        (">=6.16",),
        "a VMM may say how many counters there are, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS",
        recorded("Debian's 6.12 and 6.16, KVM_HAS_DEVICE_ATTR"),
        (
            Commit(
                "b7628c797376",
                "KVM: arm64: Allow userspace to limit the number of PMU counters for EL2 VMs",
                "6.16",
            ),
        ),
    ),
)

"""MMIO: its completion, aborts in its place, coalesced zones."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

MMIO: Final[tuple[Rule, ...]] = (
    Rule(
        "mmio_skip_at_completion",
        (">=5.0",),
        "pc stays on the access during KVM_EXIT_MMIO and moves when the next KVM_RUN completes it",
        recorded("4.19 against 5.0, every MMIO exit"),
        (Commit("0d640732dbeb", "arm64: KVM: Skip MMIO insn after emulation", "5.0"),),
    ),
    Rule(
        "mmio_completed_once",
        (">=5.3",),
        "an access is completed once, however often KVM_RUN returns early",
        recorded("5.0 against 5.10, imm-exit-completes-ss"),
        (Commit("2113c5f62b74", "KVM: arm/arm64: Only skip MMIO insn once", "5.3"),),
    ),
    Rule(
        "mmio_completion_from_esr",
        (">=5.6",),
        "completion goes by the syndrome, no longer by is_write and len in struct kvm_run",
        source("kvm_handle_mmio_return in the trees of 5.4 and 5.6.4"),
        (Commit("0e20f5e25556", "KVM: arm/arm64: Cleanup MMIO handling", "5.6"),),
    ),
    Rule(
        "mmio_not_completed_over_exception",
        ("6.1", "6.12..6.16"),
        "an access that userspace answers with an external abort is not completed (also in "
        "6.1.120 and later 6.12.y; from 6.17 on the abort has been taken by then)",
        source("the trees of 6.12.0 and 6.13.7, and the changelogs of stable kernels"),
        (Commit("e735a5da6442", "KVM: arm64: Don't retire aborted MMIO instruction", "6.13"),),
    ),
    Rule(
        "mmio_sign_extends",
        (">=7.2",),
        "LDRSB, LDRSH and LDRSW of a device extend the sign; before, the extension was masked "
        "off again",
        recorded("7.1 against 7.2, str-post-xzr-sp"),
        (Commit("85f56708a443", "KVM: arm64: Fix sign-extension of MMIO loads", "7.2"),),
    ),
    Rule(
        "nisv_to_user",
        (">=5.5",),
        "with KVM_CAP_ARM_NISV_TO_USER an access without valid syndrome exits as "
        "KVM_EXIT_ARM_NISV; without it, and before, KVM_RUN fails with ENOSYS",
        recorded("5.0 against 5.10, nisv-*-cap"),
        (
            Commit(
                "c726200dd106",
                "KVM: arm/arm64: Allow reporting non-ISV data aborts to userspace",
                "5.5",
            ),
        ),
    ),
    Rule(
        "vcpu_events",
        (">=4.19",),
        "there is KVM_SET_VCPU_EVENTS",
        source("kvm_arch_vcpu_ioctl in the trees of 4.18 and 4.19.1"),
        (Commit("b7b27facc7b5", "arm/arm64: KVM: Add KVM_GET/SET_VCPU_EVENTS", "4.19"),),
    ),
    Rule(
        "vcpu_events_need_init",
        ("6.1", "6.12", ">=6.17"),
        "KVM_GET_VCPU_EVENTS and KVM_SET_VCPU_EVENTS before KVM_ARM_VCPU_INIT fail with ENOEXEC "
        "(mainline since 6.18; late 6.1.y, 6.12.y and 6.17.y have it)",
        recorded("Debian's 5.10.223, 6.1.192, 6.12.118, 6.16.12, 6.17.13 and 7.2.13, both ioctls"),
        (Commit("0aa1b76fe142", "KVM: arm64: Prevent access to vCPU events before init", "6.18"),),
    ),
    Rule(
        "external_abort_from_user",
        (">=5.5",),
        "KVM_SET_VCPU_EVENTS takes ext_dabt_pending: an external abort at the last fault",
        source("the trees of 5.4 and 5.6.4"),
        (
            Commit(
                "da345174ceca",
                "KVM: arm/arm64: Allow user injection of external data aborts",
                "5.5",
            ),
        ),
    ),
    Rule(
        "user_aborts_committed_at_once",
        (">=6.17",),
        "exceptions from KVM_SET_VCPU_EVENTS are taken inside the ioctl",
        source("the trees of 6.14 and 6.17"),
        (
            Commit(
                "efa1368ba9f4",
                "KVM: arm64: Commit exceptions from KVM_SET_VCPU_EVENTS immediately",
                "6.17",
            ),
        ),
    ),
    Rule(
        "coalesced_ring_filled",
        (">=6.12",),
        "the coalesced ring takes 169 entries; before, an empty one at index 0 took 85",
        source("coalesced_mmio_has_room in the trees of 6.10 and 6.12"),
        (
            Commit(
                "92f6d4130497",
                "KVM: Fix coalesced_mmio_has_room() to avoid premature userspace exit",
                "6.12",
            ),
        ),
    ),
    Rule(
        "ipa_beyond_limit_aborts",
        (">=5.18",),
        "an access beyond the VM's 40 bits of IPA is an external abort, not an MMIO exit",
        recorded("5.11 against 6.0, mmio-beyond-ipa"),
        (
            Commit(
                "85ea6b1ec915",
                "KVM: arm64: Inject exception on out-of-IPA-range translation fault",
                "5.18",
            ),
        ),
    ),
    Rule(
        "injected_esr_sign_extended",
        ("5.19..6.11",),
        "ESR_EL1 of an injected abort has its upper half set",
        recorded("6.0 to 6.2 against 5.11 and 6.12, data-abort-mmio-fetch"),
        (
            Commit("0b12620fddb8", "KVM: arm64: Treat ESR_EL2 as a 64-bit register", "5.19"),
            Commit("b6db3eb6c373", "arm64: esr: Define ESR_ELx_EC_* constants as UL", "6.12"),
        ),
    ),
    Rule(
        "injected_walk_abort_has_level",
        (">=6.18",),
        "an abort that is injected for a table walk outside of memory says so, and at which level",
        recorded("Debian's 6.17.13 against 7.2.13 on a Cortex-A76; 6.18 by the commit"),
        (Commit("50f77dc87f13", "KVM: arm64: Populate level on S1PTW SEA injection", "6.18"),),
    ),
    Rule(
        "injected_spsr_lost",
        ("5.11..5.16",),
        "an exception that KVM injects leaves SPSR_EL1 as it was, on a host without VHE",
        recorded("5.11 against 6.0, SPSR_EL1 in the handler of an injected UNDEF"),
        (
            Commit("bb666c472ca2", "KVM: arm64: Inject AArch64 exceptions from HYP", "5.11"),
            Commit(
                "278583055a23",
                "KVM: arm64: Use shadow SPSR_EL1 when injecting exceptions on !VHE",
                "5.17",
            ),
        ),
    ),
    Rule(
        "injected_flags_kept",
        (">=5.6",),
        "an exception that KVM injects leaves the condition flags as they were; before, it clears "
        "them (in stable kernels of February 2020 and later as well)",
        source("get_except64_pstate in the commit; PSTATE_FAULT_BITS_64 before it"),
        (Commit("a425372e7331", "KVM: arm64: Correct PSTATE on exception entry", "5.6"),),
    ),
    Rule(
        "injected_il_set",
        (">=7.2",),
        "ESR_EL1.IL of an injected abort or SError is set; before, an abort had that of the last "
        "exit, 0 where there had been none, and an SError none",
        recorded(
            "6.17 against 7.2, an abort before the first KVM_RUN; inject_abt64 still asks "
            "kvm_vcpu_trap_il_is32bit in the tree of 7.1.3"
        ),
    ),
)

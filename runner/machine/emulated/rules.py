"""The rules: every behaviour that differs between releases, each with where it comes from.

A kernel of the table is the set of rules that hold for its release; the machine switches on
rules (:class:`~runner.machine.emulated.behaviour.Behaviour`), never on versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the mainline kernel: its id, its subject, the first release that has it."""

    id: str
    subject: str
    first: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One behaviour. ``kernels`` are ranges of releases (:mod:`runner.kvm.release`) in which it
    holds; ``evidence`` says how that is known."""

    name: str
    kernels: tuple[str, ...]
    summary: str
    evidence: str
    commits: tuple[Commit, ...] = ()


def _recorded(what: str) -> str:
    return f"recorded: {what}"


def _source(what: str) -> str:
    return f"source: {what}"


_STEPPING: Final[tuple[Rule, ...]] = (
    Rule(
        "step_exit_faked",
        ("4.15..4.20",),
        "KVM makes up a KVM_EXIT_DEBUG (hsr 0xc8000000) after any trap it handled, stage-2 "
        "faults among them, and after completing MMIO, before immediate_exit and signals",
        _recorded(
            "4.16 to 4.19, every stepped job; kvm_arm_handle_step_debug is in the trees of "
            "4.15-rc9 to 4.20 and in neither 4.14.5 nor 5.0"
        ),
    ),
    Rule(
        "hyp_skip_faked",
        ("4.15..4.20",),
        "an instruction that hyp emulates ends in a made-up step exception (hsr 0xc8000022)",
        _recorded("4.18 with the GICv2 CPU interface trapped"),
    ),
    Rule(
        "skip_clears_ss",
        (">=5.0",),
        "skipping an emulated instruction makes its step pending; up to 5.10 the entry that "
        "follows undoes it, except in hyp",
        _recorded("5.0 with the GICv2 CPU interface trapped"),
        (
            Commit(
                "bd7d95cafb49",
                "arm64: KVM: Consistently advance singlestep when emulating instructions",
                "5.0",
            ),
        ),
    ),
    Rule(
        "pc_adjusted_at_entry",
        (">=5.11",),
        "a skip or an injected exception is noted and done at the next entry, after the debug "
        "state is set up, so that its pending step is kept",
        _recorded("5.10 against 5.11, every stepped emulation"),
        (
            Commit(
                "cdb5e02ed133", "KVM: arm64: Make kvm_skip_instr() and co private to HYP", "5.11"
            ),
            Commit("bb666c472ca2", "KVM: arm64: Inject AArch64 exceptions from HYP", "5.11"),
        ),
    ),
    Rule(
        "pc_committed_on_return",
        (">=5.13",),
        "what was noted for pc is done before KVM_RUN returns",
        _recorded("5.11 against 6.0, imm-exit-completes"),
        (
            Commit(
                "26778aaa134a",
                "KVM: arm64: Commit pending PC adjustemnts before returning to userspace",
                "5.13",
            ),
            Commit(
                "e3e880bb1518",
                "KVM: arm64: Resolve all pending PC updates before immediate exit",
                "5.13",
            ),
        ),
    ),
    Rule(
        "active_pending_kept",
        ("6.1..6.13",),
        "a step that was pending at an exit is pending again at the next entry, and the guest "
        "keeps a PSTATE.SS of its own",
        _recorded("6.0 against 6.1, a stepped HVC"),
        (
            Commit(
                "34fbdee086cf",
                "KVM: arm64: Preserve PSTATE.SS for the guest while single-step is enabled",
                "6.1",
            ),
            Commit(
                "370531d1e95b",
                "KVM: arm64: Clear PSTATE.SS when the Software Step state was Active-pending",
                "6.1",
            ),
        ),
    ),
    Rule(
        "step_state_swapped_at_load",
        (">=6.14",),
        "the step state of host and guest is swapped where the vCPU is loaded and put: a pending "
        "step survives a return of KVM_RUN",
        _recorded("6.12 against 6.14, imm-exit-completes-ss"),
        (Commit("2ca3f03bf524", "KVM: arm64: Manage software step state at load/put", "6.14"),),
    ),
    Rule(
        "guest_debug_owns_registers",
        (">=6.14",),
        "while the VMM debugs, the guest's own breakpoints and watchpoints are off; before, only "
        "hardware breakpoints of the VMM took their place",
        _recorded("Debian's 6.12 against 7.2, a guest's breakpoint under KVM_GUESTDBG_USE_SW_BP"),
        (
            Commit(
                "58db67e9accc",
                "KVM: arm64: Select debug state to save/restore based on debug owner",
                "6.14",
            ),
        ),
    ),
    Rule(
        "guest_mdscr_kept_short",
        ("<=6.13",),
        "under guest debug the upper half of the guest's MDSCR_EL1 is lost",
        _recorded(
            "6.12 against 6.16; guest_debug_preserved.mdscr_el1 is a u32 in the trees of 5.10, "
            "6.1 and 6.12"
        ),
    ),
)

_MMIO: Final[tuple[Rule, ...]] = (
    Rule(
        "mmio_skip_at_completion",
        (">=5.0",),
        "pc stays on the access during KVM_EXIT_MMIO and moves when the next KVM_RUN completes it",
        _recorded("4.19 against 5.0, every MMIO exit"),
        (Commit("0d640732dbeb", "arm64: KVM: Skip MMIO insn after emulation", "5.0"),),
    ),
    Rule(
        "mmio_completed_once",
        (">=5.3",),
        "an access is completed once, however often KVM_RUN returns early",
        _recorded("5.0 against 5.10, imm-exit-completes-ss"),
        (Commit("2113c5f62b74", "KVM: arm/arm64: Only skip MMIO insn once", "5.3"),),
    ),
    Rule(
        "mmio_completion_from_esr",
        (">=5.6",),
        "completion goes by the syndrome, no longer by is_write and len in struct kvm_run",
        _source("kvm_handle_mmio_return in the trees of 5.4 and 5.6.4"),
        (Commit("0e20f5e25556", "KVM: arm/arm64: Cleanup MMIO handling", "5.6"),),
    ),
    Rule(
        "mmio_not_completed_over_exception",
        ("6.1", "6.12..6.16"),
        "an access that userspace answers with an external abort is not completed (also in "
        "6.1.120 and later 6.12.y; from 6.17 on the abort has been taken by then)",
        _source("the trees of 6.12.0 and 6.13.7, and the changelogs of stable kernels"),
        (Commit("e735a5da6442", "KVM: arm64: Don't retire aborted MMIO instruction", "6.13"),),
    ),
    Rule(
        "mmio_sign_extends",
        (">=7.2",),
        "LDRSB, LDRSH and LDRSW of a device extend the sign; before, the extension was masked "
        "off again",
        _recorded("7.1 against 7.2, str-post-xzr-sp"),
        (Commit("85f56708a443", "KVM: arm64: Fix sign-extension of MMIO loads", "7.2"),),
    ),
    Rule(
        "nisv_to_user",
        (">=5.5",),
        "with KVM_CAP_ARM_NISV_TO_USER an access without valid syndrome exits as "
        "KVM_EXIT_ARM_NISV; without it, and before, KVM_RUN fails with ENOSYS",
        _recorded("5.0 against 5.10, nisv-*-cap"),
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
        _source("kvm_arch_vcpu_ioctl in the trees of 4.18 and 4.19.1"),
        (Commit("b7b27facc7b5", "arm/arm64: KVM: Add KVM_GET/SET_VCPU_EVENTS", "4.19"),),
    ),
    Rule(
        "external_abort_from_user",
        (">=5.5",),
        "KVM_SET_VCPU_EVENTS takes ext_dabt_pending: an external abort at the last fault",
        _source("the trees of 5.4 and 5.6.4"),
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
        _source("the trees of 6.14 and 6.17"),
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
        _source("coalesced_mmio_has_room in the trees of 6.10 and 6.12"),
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
        _recorded("5.11 against 6.0, mmio-beyond-ipa"),
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
        _recorded("6.0 to 6.2 against 5.11 and 6.12, data-abort-mmio-fetch"),
        (
            Commit("0b12620fddb8", "KVM: arm64: Treat ESR_EL2 as a 64-bit register", "5.19"),
            Commit("b6db3eb6c373", "arm64: esr: Define ESR_ELx_EC_* constants as UL", "6.12"),
        ),
    ),
    Rule(
        "injected_il_set",
        (">=7.2",),
        "ESR_EL1.IL of an injected abort or SError is set; before, an abort had that of the last "
        "exit, 0 where there had been none, and an SError none",
        _recorded(
            "6.17 against 7.2, an abort before the first KVM_RUN; inject_abt64 still asks "
            "kvm_vcpu_trap_il_is32bit in the tree of 7.1.3"
        ),
    ),
)

_RECORDS: Final[tuple[Rule, ...]] = (
    Rule(
        "debug_hsr_high",
        (">=5.19",),
        "KVM_EXIT_DEBUG has hsr_high, and says so in run->flags",
        _recorded("5.11 against 6.0, every debug exit"),
        (Commit("18f3976fdb5d", "KVM: arm64: uapi: Add kvm_debug_exit_arch.hsr_high", "5.19"),),
    ),
    Rule(
        "system_event_data",
        (">=5.18",),
        "KVM_EXIT_SYSTEM_EVENT carries ndata and data[]",
        _recorded("5.11 against 6.0, every system event"),
        (Commit("d495f942f40a", "KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT", "5.18"),),
    ),
    Rule(
        "watchpoint_far",
        ("6.1", ">=6.4"),
        "far of a watchpoint exit is the access; before, it was that of the last abort taken to "
        "EL2 (right in 6.1.33 and later, never in 6.2.y)",
        _recorded("6.0 and 6.2 against 6.1 and 6.12, watch-rw"),
        (Commit("811154e234db", "KVM: arm64: Populate fault info for watchpoint", "6.4"),),
    ),
)

_HYPERCALLS: Final[tuple[Rule, ...]] = (
    Rule(
        "smc_undefined",
        ("<=4.14",),
        "SMC is undefined in the guest",
        _recorded("4.14 against 4.16, smc-step"),
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
        _source("handle_smc in the trees of 4.15-rc9 and 4.16.13"),
        (Commit("f5115e8869e1", "arm64: KVM: Increment PC after handling an SMC trap", "4.16"),),
    ),
    Rule(
        "smc_is_smccc",
        (">=6.4",),
        "SMC #0 is answered as HVC #0 is; other SMCs answer -1",
        _recorded("6.2 against 6.12, smc-step"),
        (Commit("c2d2e9b3d8ce", "KVM: arm64: Start handling SMCs from EL1", "6.4"),),
    ),
    Rule(
        "smccc_results_in_x0_to_x3",
        (">=4.16",),
        "an answer to a hypercall writes x0 to x3, with zeroes where it has no more",
        _recorded("4.14 against 4.16, every PSCI call"),
        (Commit("84684fecd7ea", "arm/arm64: KVM: Add smccc accessors to PSCI code", "4.16"),),
    ),
    Rule(
        "smccc_1_1",
        (">=4.16",),
        "SMCCC_VERSION answers 1.1",
        _recorded("4.14 against 4.16, psci-smccc_version-step"),
        (Commit("09e6be12effd", "arm/arm64: KVM: Advertise SMCCC v1.1", "4.16"),),
    ),
    Rule(
        "smccc_workaround_1_in_hyp",
        (">=4.16",),
        "SMCCC_ARCH_WORKAROUND_1 is answered in the exception vector: no exit, and x1 is lost",
        _recorded("4.14 against 4.16, psci-wa1-step"),
        (Commit("f72af90c3783", "arm64: KVM: Add SMCCC_ARCH_WORKAROUND_1 fast handling", "4.16"),),
    ),
    Rule(
        "smccc_features_32bit",
        ("4.16..5.4",),
        "SMCCC_ARCH_FEATURES of an unknown function answers 0xffffffff",
        _recorded("5.0 against 5.10, psci-arch_features-step"),
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
        _recorded("5.11 against 6.0, psci-trng-step"),
        (Commit("a8e190cdae1b", "KVM: arm64: implement the TRNG hypervisor call", "5.12"),),
    ),
    Rule(
        "smccc_vendor_hyp",
        (">=5.13",),
        "the vendor-specific UID tells the guest that it runs on KVM",
        _recorded("5.11 against 6.0, psci-vendor_uid-step"),
        (Commit("923961a7ff2e", "KVM: arm64: Advertise KVM UID to guests via SMCCC", "5.13"),),
    ),
    Rule(
        "psci_1_0",
        (">=4.16",),
        "PSCI_VERSION answers 1.0, and there is PSCI_FEATURES",
        _recorded("4.14 against 4.16, psci-version-step"),
        (Commit("58e0b2239a4d", "arm/arm64: KVM: Implement PSCI 1.0 support", "4.16"),),
    ),
    Rule(
        "psci_1_1",
        (">=5.18",),
        "PSCI_VERSION answers 1.1, and there is SYSTEM_RESET2",
        _recorded("5.11 against 6.0, psci-version-step and psci-reset2"),
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
        _source("pull request for 5.19"),
        (Commit("bfbab4456877", "KVM: arm64: Implement PSCI SYSTEM_SUSPEND", "5.19"),),
    ),
    Rule(
        "psci_arguments_narrowed",
        (">=5.7",),
        "32-bit functions of PSCI read the low halves of their arguments",
        _source("kvm_psci_narrow_to_32bit in the tree of 5.10; the KVM/arm fixes pulled for 5.7"),
    ),
    Rule(
        "psci_affinity_checked",
        (">=5.15",),
        "CPU_ON and AFFINITY_INFO refuse an affinity with other bits set; before, those are "
        "ignored",
        _source("kvm_psci_valid_affinity in the trees of 6.1 and 6.12, not in that of 5.10"),
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
        _recorded("6.12 against 6.14, psci-version-step"),
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

_REGISTERS: Final[tuple[Rule, ...]] = (
    Rule(
        "id_registers_trapped",
        (">=4.15",),
        "reading an ID register traps (HCR_EL2.TID3)",
        _recorded("4.14 against 4.16, id-regs-step"),
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
        _recorded("5.10 against 5.11, sysreg-trap-step"),
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
        _recorded("6.2 against 6.12, sysreg-trap-step"),
        (
            Commit(
                "5cb57a1aff75",
                "KVM: arm64: Zero ID_AA64PFR0_EL1.GIC when no GICv3 is presented to the guest",
                "6.12",
            ),
        ),
    ),
    Rule(
        "id_pmu_hidden",
        (">=5.11",),
        "the ID registers of a vCPU without a PMU show none",
        _recorded("5.10 against 6.1, read from Debian's kernels; the trees of 5.9.1 and 5.11.14"),
    ),
    Rule(
        "implementation_id_trapped",
        (">=6.15",),
        "reading REVIDR_EL1 and AIDR_EL1 traps (HCR_EL2.TID1)",
        _recorded("6.12 against 6.16, read from Debian's kernels; the trees of 6.14 and 6.17"),
    ),
    Rule(
        "ctr_trapped",
        (">=6.3",),
        "reading CTR_EL0 and the cache identification traps (HCR_EL2.TID2)",
        _recorded("6.2 against 6.12, id-regs-step"),
        (Commit("8cc6dedaff42", "KVM: arm64: Always set HCR_TID2", "6.3"),),
    ),
    Rule(
        "pmu_undefined",
        (">=5.11",),
        "PMU registers of a vCPU without a PMU are undefined; before, they read as zero",
        _recorded("5.10 against 5.11, pmu-undef"),
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
        _source("the trees of 5.17-rc5 and 5.19"),
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
        _recorded("Debian's 5.10.223 against 6.1.192 and 6.12"),
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
        _recorded("6.2 against 6.12, icc-nogic"),
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

_VGIC: Final[tuple[Rule, ...]] = (
    Rule(
        "vgic_sgi_sources_in_turn",
        (">=4.16",),
        "a GICv2 SGI from several sources takes one list register at a time",
        _source("vgic_v2_populate_lr in the trees of 4.15-rc9 and 4.16.13"),
        (
            Commit(
                "16ca6a607d84",
                "KVM: arm/arm64: vgic: Don't populate multiple LRs with the same vintid",
                "4.16",
            ),
        ),
    ),
    Rule(
        "vgic_lr_state_separate",
        (">=4.17",),
        "a level interrupt is not active and pending at once in a list register, and what "
        "software made pending stays so while it is active",
        _source("vgic_v3_populate_lr and vgic_v3_fold_lr_state in the trees of 4.16.13 and 4.18"),
        (
            Commit(
                "67b5b673ad4d",
                "KVM: arm/arm64: vgic: Disallow Active+Pending for level interrupts",
                "4.17",
            ),
        ),
    ),
    Rule(
        "vgic_groups_writable",
        (">=4.19",),
        "the guest configures interrupt groups, and GICD_IIDR says revision 2",
        _recorded("4.18 against 4.19, gicv3-kernel-mmio-step"),
        (
            Commit(
                "d53c2c29ae0d",
                "KVM: arm/arm64: vgic: Allow configuration of interrupt groups",
                "4.19",
            ),
        ),
    ),
    Rule(
        "vgic_wfi_heeds_priority",
        (">=5.0",),
        "an interrupt that is masked by priority does not end a WFI",
        _source("the trees of 4.20 and 5.0, kvm_vgic_vcpu_pending_irq"),
    ),
    Rule(
        "vgic_redistributor_one_region",
        (">=5.4",),
        "a redistributor is one region of 128 KiB; before, an access across its two frames left "
        "the kernel",
        _source("the trees of 5.3.1 and 5.4.0, vgic_register_redist_iodev"),
    ),
    Rule(
        "vgic_revision_3",
        (">=5.19",),
        "GICD_IIDR says revision 3",
        _recorded("5.11 against 6.0, gicv3-kernel-mmio-step"),
        (
            Commit(
                "49a1a2c70a7f",
                "KVM: arm64: vgic-v3: Advertise GICR_CTLR.{IR, CES} as a new GICD_IIDR revision",
                "5.19",
            ),
        ),
    ),
    Rule(
        "vgic_lr_overflow",
        (">=6.19",),
        "active interrupts may lie outside the list registers: deactivations trap, and so does "
        "the second page of a GICv2 CPU interface",
        _recorded("6.12 against 7.2, gicv2-cpuif-bad"),
        (
            Commit("07bb1c5622a5", "KVM: arm64: GICv2: Always trap GICV_DIR register", "6.19"),
            Commit("3cfd59f81e0f", "KVM: arm64: GICv3: Handle LR overflow when EOImode==0", "6.19"),
        ),
    ),
)

_VARIANTS: Final[tuple[Rule, ...]] = (
    Rule(
        "gicv_trapped",
        (),
        "accesses to the GICv2 CPU interface trap and hyp emulates them (variant v2trap)",
        _recorded("4.14, 4.18, 5.0 and 6.0 with trapping forced on"),
    ),
)

RULES: Final = (*_STEPPING, *_MMIO, *_RECORDS, *_HYPERCALLS, *_REGISTERS, *_VGIC, *_VARIANTS)
"""Every rule. A rule without a range belongs to variants of a release alone."""

BY_NAME: Final = {rule.name: rule for rule in RULES}

"""Guest debug: steps over what KVM emulates, and whose debug registers are in force."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded

STEPPING: Final[tuple[Rule, ...]] = (
    Rule(
        "step_exit_faked",
        ("4.15..4.20",),
        "KVM makes up a KVM_EXIT_DEBUG (hsr 0xc8000000) after any trap it handled, stage-2 "
        "faults among them, and after completing MMIO, before immediate_exit and signals",
        recorded(
            "4.16 to 4.19, every stepped job; kvm_arm_handle_step_debug is in the trees of "
            "4.15-rc9 to 4.20 and in neither 4.14.5 nor 5.0"
        ),
    ),
    Rule(
        "hyp_skip_faked",
        ("4.15..4.20",),
        "an instruction that hyp emulates ends in a made-up step exception (hsr 0xc8000022)",
        recorded("4.18 with the GICv2 CPU interface trapped"),
    ),
    Rule(
        "skip_clears_ss",
        (">=5.0",),
        "skipping an emulated instruction makes its step pending; up to 5.10 the entry that "
        "follows undoes it, except in hyp",
        recorded("5.0 with the GICv2 CPU interface trapped"),
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
        recorded("5.10 against 5.11, every stepped emulation"),
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
        recorded("5.11 against 6.0, imm-exit-completes"),
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
        recorded("6.0 against 6.1, a stepped HVC"),
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
        recorded("6.12 against 6.14, imm-exit-completes-ss"),
        (Commit("2ca3f03bf524", "KVM: arm64: Manage software step state at load/put", "6.14"),),
    ),
    Rule(
        "guest_debug_owns_registers",
        (">=6.14",),
        "while the VMM debugs, the guest's own breakpoints and watchpoints are off; before, only "
        "hardware breakpoints of the VMM took their place",
        recorded("Debian's 6.12 against 7.2, a guest's breakpoint under KVM_GUESTDBG_USE_SW_BP"),
        (
            Commit(
                "58db67e9accc",
                "KVM: arm64: Select debug state to save/restore based on debug owner",
                "6.14",
            ),
        ),
    ),
    Rule(
        "guest_owns_debug_registers",
        (">=6.14",),
        "a guest accesses its debug registers without a trap while MDSCR_EL1.KDE or MDE is set; "
        "before, from its write to one of them to the next exit",
        recorded("Debian's 5.10 and 6.12 against 7.2, a guest that steps itself over them"),
        (
            Commit(
                "beb470d96cec",
                "KVM: arm64: Use debug_owner to track if debug regs need save/restore",
                "6.14",
            ),
        ),
    ),
    Rule(
        "guest_mdscr_kept_short",
        ("<=6.13",),
        "under guest debug, or while the guest holds its OS lock, the upper half of the guest's "
        "MDSCR_EL1 is lost",
        recorded(
            "6.12 against 6.16; guest_debug_preserved.mdscr_el1 is a u32 in the trees of 5.10, "
            "6.1 and 6.12"
        ),
    ),
)

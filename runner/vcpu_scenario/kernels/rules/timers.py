"""The timers' interrupts, and what ends a WFI."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

TIMERS: Final[tuple[Rule, ...]] = (
    Rule(
        "vgic_pending_of_hardware",
        ("5.10", ">=5.15"),
        "whether a timer's interrupt is pending is read by the guest from the timer; before, what "
        "software set was read as well (also in stable kernels of March 2022 and later)",
        recorded(
            "Debian's 5.10.223, and the commit's change to vgic_mmio_read_pending; the review of "
            "5.15.27 has it, of 7 March 2022, and a mail of 23 February that chose it for 5.16.y"
        ),
        (
            Commit(
                "5bfa685e62e9",
                "KVM: arm64: vgic: Read HW interrupt pending state from the HW",
                "5.17",
            ),
        ),
    ),
    Rule(
        "vgic_wfi_heeds_priority",
        (">=5.0",),
        "an interrupt that is masked by priority does not end a WFI",
        source("the trees of 4.20 and 5.0, kvm_vgic_vcpu_pending_irq"),
    ),
    Rule(
        "wfi_ended_by_timer",
        ("<5.19",),
        "a timer that fires ends a WFI although the vGIC has no interrupt for it",
        recorded("Debian's 5.10 against 6.1 and 6.12, WFI with PPI 27 not enabled"),
        (Commit("b57de4ffd7c6", "KVM: arm64: Simplify kvm_cpu_has_pending_timer()", "5.19"),),
    ),
    Rule(
        "wfi_ended_by_untold_timer",
        ("6.1", "6.12", ">=7.1"),
        "without a vGIC a timer whose line is not as userspace was told ends a WFI (mainline since "
        "7.1; late 6.1.y and 6.12.y have the repair); before, since 5.19, no timer does",
        recorded("Debian's 6.1.192, 6.12.118, 6.17.13 and 7.2.13, WFI before an armed timer"),
        (
            Commit(
                "4ce98bf0865c",
                "KVM: arm64: Wake-up from WFI when iqrchip is in userspace",
                "7.1",
            ),
        ),
    ),
    Rule(
        "timer_lines_uncached",
        (">=7.2",),
        "the line of the physical timer that KVM emulates is driven whenever the vCPU is loaded, "
        "so that PPI 30 raised before the first KVM_RUN is lowered; before, only when the timer's "
        "output had changed",
        recorded("Debian's 5.10.223, 6.1.192, 6.12.118 and 6.17.13 against 7.2.13"),
        (Commit("77f66dc27c5c", "KVM: arm64: timer: Kill the per-timer level cache", "7.2"),),
    ),
    Rule(
        "physical_tval_word",
        (">=5.6",),
        "CNTP_TVAL_EL0 of the timer that KVM emulates is a signed number of 32 bits; before, "
        "writes and reads have 64 (in 5.4.y and 5.5.y of February 2020 and later as well)",
        source("kvm_arm_timer_read and kvm_arm_timer_write before and after the commit"),
        (
            Commit(
                "4a267aa70795",
                "KVM: arm64: Treat emulated TVAL TimerValue as a signed 32-bit integer",
                "5.6",
            ),
        ),
    ),
    Rule(
        "hyp_timers_known",
        (">=6.4",),
        "a vCPU has attributes for the interrupts of the timers of EL2, 28 and 26, of which a "
        "guest without EL2 has no use; before, they are ENXIO",
        recorded("Debian's 5.10 and 6.1 against 6.12, attributes-of-the-timers; 6.4 by the commit"),
        (Commit("81dc9504a700", "KVM: arm64: nv: timers: Support hyp timer emulation", "6.4"),),
    ),
)

"""What an exit tells userspace."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded

RECORDS: Final[tuple[Rule, ...]] = (
    Rule(
        "debug_hsr_high",
        (">=5.19",),
        "KVM_EXIT_DEBUG has hsr_high, and says so in run->flags",
        recorded("5.11 against 6.0, every debug exit"),
        (Commit("18f3976fdb5d", "KVM: arm64: uapi: Add kvm_debug_exit_arch.hsr_high", "5.19"),),
    ),
    Rule(
        "system_event_data",
        (">=5.18",),
        "KVM_EXIT_SYSTEM_EVENT carries ndata and data[]",
        recorded("5.11 against 6.0, every system event"),
        (Commit("d495f942f40a", "KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT", "5.18"),),
    ),
    Rule(
        "watchpoint_far",
        ("6.1", ">=6.4"),
        "far of a watchpoint exit is the access; before, it was that of the last abort taken to "
        "EL2 (right in 6.1.33 and later, never in 6.2.y)",
        recorded("6.0 and 6.2 against 6.1 and 6.12, watch-rw"),
        (Commit("811154e234db", "KVM: arm64: Populate fault info for watchpoint", "6.4"),),
    ),
)

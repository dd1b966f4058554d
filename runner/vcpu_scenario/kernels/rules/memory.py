"""Memory slots and the dirty log."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

MEMORY: Final[tuple[Rule, ...]] = (
    Rule(
        "memslots_32767",
        (">=5.12",),
        "a VM has 32,767 memory slots; before, 512",
        recorded("Debian's 5.10.223 against 6.1.192, KVM_SET_USER_MEMORY_REGION of slot 512"),
        (Commit("4fc096a99e01", "KVM: Raise the maximum number of user memslots", "5.12"),),
    ),
    Rule(
        "walk_fault_reads",
        ("5.10", ">=6.1"),
        "the walk that meets a table which stage 2 does not map reads it; before, KVM took each "
        "such fault for a write",
        recorded("Debian's 5.10.223 and 6.1.192, tables in memory that is logged or read-only"),
        (Commit("406504c7b040", "KVM: arm64: Fix S1PTW handling on RO memslots", "6.2"),),
    ),
    Rule(
        "fetch_walk_fault_writes",
        (">=5.9",),
        "what KVM takes for a write of a walk is so for the walk of a fetch as well",
        source("kvm_is_write_fault in the trees of 5.7 and 5.9"),
        (
            Commit(
                "c4ad98e4b72c",
                "KVM: arm64: Assume write fault on S1PTW permission fault on instruction fetch",
                "5.9",
            ),
        ),
    ),
    Rule(
        "vm_type_ipa_size",
        (">=4.20",),
        "KVM_CREATE_VM takes the number of bits of an IPA, from 32 to what the CPU has; before, "
        "nothing but 0",
        source("kvm_arch_init_vm in the trees of 4.19.1 and 4.20"),
        (
            Commit(
                "233a7cb23531", "kvm: arm64: Allow tuning the physical address size for VM", "4.20"
            ),
        ),
    ),
    Rule(
        "dirty_log_manual_protect",
        (">=5.2",),
        "with KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 dirty pages stay so until KVM_CLEAR_DIRTY_LOG",
        source("kvm_vm_ioctl_enable_cap_generic in the trees of 5.1 and 5.2"),
        (Commit("d7547c55cbe7", "KVM: Introduce KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", "5.2"),),
    ),
    Rule(
        "dirty_log_initially_set",
        (">=5.8",),
        "with KVM_DIRTY_LOG_INITIALLY_SET a log begins with all pages dirty, and none is "
        "write-protected before it is cleared; before, it is EINVAL",
        source("kvm_arch_commit_memory_region by the commit; Debian's 5.10 to 7.2 do so"),
        (
            Commit(
                "c862626e19ef",
                "KVM: arm64: Support enabling dirty log gradually in small chunks",
                "5.8",
            ),
        ),
    ),
    Rule(
        "user_memory2",
        (">=6.8",),
        "there is KVM_SET_USER_MEMORY_REGION2",
        recorded("Debian's 6.1.192 against 6.12.118, memory-regions-of-both-ioctls"),
        (Commit("bb58b90b1a8f", "KVM: Introduce KVM_SET_USER_MEMORY_REGION2", "6.8"),),
    ),
    Rule(
        "guest_memfd",
        (">=6.18",),
        "KVM_SET_USER_MEMORY_REGION2 takes KVM_MEM_GUEST_MEMFD; before, arm64 had no guest_memfd",
        recorded(
            "Debian's 6.17.13 against 7.2.13, memory-regions-of-both-ioctls; the "
            'pull request of KVM for 6.18 has "KVM: arm64: Enable support for guest_memfd backed '
            'memory"'
        ),
    ),
)

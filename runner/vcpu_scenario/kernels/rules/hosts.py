"""What KVM does on some hosts alone (:mod:`vcpu_scenario.kernels.hosts`)."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded

HOSTS: Final[tuple[Rule, ...]] = (
    Rule(
        "pkvm_debug_mdscr_lost",
        (">=6.14",),
        "in protected mode the MDSCR_EL1 of guest debug does not reach hyp's copy of the vCPU: the "
        "guest runs on without steps, and breakpoints and watchpoints never hit",
        recorded(
            "Debian's 6.12 against 6.16 and 6.17; flush_debug_state in the trees of 6.13.7 and 6.14"
        ),
        (
            Commit(
                "beb470d96cec",
                "KVM: arm64: Use debug_owner to track if debug regs need save/restore",
                "6.14",
            ),
            Commit("0f1a6c5c9784", "KVM: arm64: Flush/sync debug state in protected mode", "6.14"),
        ),
        host="protected",
    ),
    Rule(
        "pkvm_vm_copied",
        (">=6.2",),
        "in protected mode hyp has a copy of the VM: its physical address space is as wide as the "
        "host's, whatever KVM_CREATE_VM asks for, and the offset of its physical counter stays 0",
        recorded("Debian's 6.12, 6.17 and 7.2 with kvm-arm.mode=protected"),
        (
            Commit(
                "a1ec5c70d3f6",
                "KVM: arm64: Add infrastructure to create and track pKVM instances at EL2",
                "6.2",
            ),
            Commit(
                "60dfe093ec13", "KVM: arm64: Instantiate guest stage-2 page-tables at EL2", "6.2"
            ),
        ),
        host="protected",
    ),
    Rule(
        "pkvm_irq_lines_lost",
        (">=6.13",),
        "in protected mode a line of the CPU that the VMM raises (KVM_ARM_IRQ_TYPE_CPU) does not "
        "reach hyp's copy of the vCPU: the guest takes no interrupt",
        recorded("Debian's 6.12 against 6.17 and 7.2 with kvm-arm.mode=protected"),
        (
            Commit(
                "b56680de9c64",
                "KVM: arm64: Initialize trap register values in hyp in pKVM",
                "6.13",
            ),
        ),
        host="protected",
    ),
    Rule(
        "pkvm_serror_lost",
        ("6.13..7.1",),
        "nor does HCR_EL2.VSE: an SError that is pending never comes",
        recorded(
            "Debian's 6.12, 6.17 and 7.2 with kvm-arm.mode=protected. Not established between 6.17 "
            "and 7.2: flush_hyp_vcpu, which takes HCR_EL2.VSE along in mainline, was not seen there"
        ),
        (
            Commit(
                "b56680de9c64",
                "KVM: arm64: Initialize trap register values in hyp in pKVM",
                "6.13",
            ),
        ),
        host="protected",
    ),
    Rule(
        "gicv3_trapped",
        (">=4.14",),
        "accesses to the CPU interface of a GICv3 trap, and hyp emulates them without returning to "
        "the host",
        recorded("Debian's 5.10, 6.12 and 7.2 with kvm-arm.vgic_v3_*_trap=1"),
        (
            Commit(
                "59da1cbfd840",
                "KVM: arm64: vgic-v3: Add hook to handle guest GICv3 sysreg accesses at EL2",
                "4.13",
            ),
        ),
        host="gicv3-trapped",
    ),
    Rule(
        "hyp_bpr1_looks_at_value",
        (">=7.0",),
        "hyp leaves ICC_BPR1_EL1 as it is if bit 4 of the value written is set; before, if "
        "ICC_CTLR_EL1.CBPR was",
        recorded("Debian's 6.17 against 7.2 with kvm-arm.vgic_v3_*_trap=1"),
        (
            Commit(
                "4a03431b742b",
                "KVM: arm64: gic-v3: Switch vGIC-v3 to use generated ICH_VMCR_EL2",
                "7.0",
            ),
        ),
        host="gicv3-trapped",
    ),
)

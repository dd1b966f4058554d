"""The vGIC."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

VGIC: Final[tuple[Rule, ...]] = (
    Rule(
        "vgic_sgi_sources_in_turn",
        (">=4.16",),
        "a GICv2 SGI from several sources takes one list register at a time",
        source("vgic_v2_populate_lr in the trees of 4.15-rc9 and 4.16.13"),
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
        source("vgic_v3_populate_lr and vgic_v3_fold_lr_state in the trees of 4.16.13 and 4.18"),
        (
            Commit(
                "67b5b673ad4d",
                "KVM: arm/arm64: vgic: Disallow Active+Pending for level interrupts",
                "4.17",
            ),
        ),
    ),
    Rule(
        "gicv2_sgi_pending_ignored",
        (">=5.3",),
        "a guest's writes of GICD_ISPENDR0 and GICD_ICPENDR0 of a GICv2 do nothing to SGIs; "
        "before, they made them pending, of no source, and cleared them",
        source("vgic_mmio_write_spending and vgic_mmio_write_cpending before and after the commit"),
        (
            Commit(
                "82e40f558de5",
                "KVM: arm/arm64: vgic-v2: Handle SGI bits in GICD_I{S,C}PENDR0 as WI",
                "5.3",
            ),
        ),
    ),
    Rule(
        "vgic_groups_writable",
        (">=4.19",),
        "the guest configures interrupt groups, and GICD_IIDR says revision 2",
        recorded("4.18 against 4.19, gicv3-kernel-mmio-step"),
        (
            Commit(
                "d53c2c29ae0d",
                "KVM: arm/arm64: vgic: Allow configuration of interrupt groups",
                "4.19",
            ),
        ),
    ),
    Rule(
        "device_addr_of_gicv2_alone",
        (">=6.0",),
        "KVM_ARM_SET_DEVICE_ADDR is for a GICv2 alone; before, it sets a GICv3's addresses too",
        recorded("Debian's 5.10, 6.1 and 7.2, KVM_ARM_SET_DEVICE_ADDR of each type"),
        (
            Commit(
                "9f968c9266aa",
                "KVM: arm64: vgic-v2: Add helper for legacy dist/cpuif base address setting",
                "6.0",
            ),
        ),
    ),
    Rule(
        "irqchip_wants_gicv2_first",
        (">=6.1",),
        "KVM_CREATE_IRQCHIP on a host without GICv2 is ENODEV in a VM that has a GICv3 as well; "
        "before, EEXIST there",
        recorded(
            "Debian's 5.10, 6.1, 6.12, 6.16, 6.17 and 7.2, KVM_CREATE_IRQCHIP; nothing between "
            "5.10 and 6.1 was looked at"
        ),
    ),
    Rule(
        "vgic_redistributor_one_region",
        (">=5.4",),
        "a redistributor is one region of 128 KiB; before, an access across its two frames left "
        "the kernel",
        source("the trees of 5.3.1 and 5.4.0, vgic_register_redist_iodev"),
    ),
    Rule(
        "irq_line_vcpu2",
        (">=5.4",),
        "KVM_IRQ_LINE takes bits 31:28 as the upper bits of the vCPU's number; before, they were "
        "part of a type that there is not",
        source("vcpu2_index in the uAPI of 5.4"),
        (
            Commit(
                "92f35b751c71",
                "KVM: arm/arm64: vgic: Allow more than 256 vcpus for KVM_IRQ_LINE",
                "5.4",
            ),
        ),
    ),
    Rule(
        "vgic_table_address_52bit",
        (">=4.20",),
        "GICR_PROPBASER and GICR_PENDBASER keep bits 51:48 of an address",
        source('"vgic: Add support for 52bit guest physical address", in 4.20'),
    ),
    Rule(
        "vgic_pending_table_zero_hidden",
        (">=5.6",),
        "GICR_PENDBASER.PTZ reads as zero",
        source(
            '"KVM: arm/arm64: vgic: Handle GICR_PENDBASER.PTZ filed as RAZ", in the pull request '
            "of 5.6"
        ),
    ),
    Rule(
        "vgic_outer_same_as_inner",
        (">=5.9",),
        "an outer cacheability of GICR_PROPBASER or GICR_PENDBASER that is not supported becomes "
        "same-as-inner, once non-cacheable",
        source("vgic_sanitise_outer_cacheability"),
        (
            Commit(
                "731532176716",
                "KVM: arm64: vgic-its: Change default outer cacheability for {PEND, PROP}BASER",
                "5.9",
            ),
        ),
    ),
    Rule(
        "vgic_ends_checked",
        (">=5.16",),
        "a frame of the vGIC whose end lies beyond the VM's IPAs is refused; before, only its "
        "beginning was looked at",
        recorded("Debian's 5.10 against 6.1 and 6.12, KVM_DEV_ARM_VGIC_GRP_ADDR"),
        (Commit("f25c5e4dafd8", "kvm: arm64: vgic: Introduce vgic_check_iorange", "5.16"),),
    ),
    Rule(
        "irqfd_injects_at_once",
        (">=5.9",),
        "what is written to an irqfd raises its SPI at once and nothing lowers it; before, a "
        "worker raised it and, if it is not resampled, lowered it again",
        source('"KVM: arm64: Allow in-atomic injection of SPIs", kvm_arch_set_irq_inatomic'),
    ),
    Rule(
        "vgic_second_redist_eexist",
        (">=5.13",),
        "a redistributor that has its place already is EEXIST, once EINVAL",
        recorded("Debian's 5.10 against 6.1, KVM_VGIC_V3_ADDR_TYPE_REDIST set again"),
        (
            Commit(
                "d9b201e99c61",
                "KVM: arm64: vgic-v3: Fix some error codes when setting RDIST base",
                "5.13",
            ),
        ),
    ),
    Rule(
        "vgic_user_sees_last",
        (">=5.13",),
        "the VMM reads GICR_TYPER.Last as the guest does, and a redistributor that another "
        "region's follows is not the last; before, the VMM read 0 there",
        recorded("Debian's 5.10 against 6.1, GICR_TYPER by KVM_DEV_ARM_VGIC_GRP_REDIST_REGS"),
        (
            Commit(
                "28e9d4bce3be",
                "KVM: arm64: vgic-v3: Expose GICR_TYPER.Last for userspace",
                "5.13",
            ),
        ),
    ),
    Rule(
        "vgic_saving_needs_init",
        (">=6.1",),
        "KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES is refused with ENXIO before the vGIC is initialised",
        recorded("Debian's 5.10 against 6.1"),
    ),
    Rule(
        "vgic_sysreg_enoent",
        (">=6.0",),
        "an access by KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS to a register that is not there is ENOENT, "
        "once ENXIO",
        recorded("Debian's 5.10 against 6.1"),
    ),
    Rule(
        "vgic_maintenance_ppi",
        (">=6.15",),
        "there is KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, which a VM without nested virtualisation cannot "
        "set",
        recorded("Debian's 6.12 against 6.16, KVM_HAS_DEVICE_ATTR; 6.15 by the commit"),
        (
            Commit(
                "faf7714a47a2",
                "KVM: arm64: nv: Allow userland to set VGIC maintenance IRQ",
                "6.15",
            ),
        ),
    ),
    Rule(
        "vgic_typer2_settled",
        (">=6.17",),
        "another value of GICD_TYPER2 is refused with EBUSY once the vGIC is initialised, before "
        "with EINVAL",
        recorded("Debian's 6.16 against 6.17"),
    ),
    Rule(
        "vgic_revision_stays",
        ("5.19", "6.0", ">=6.2 <6.12", ">=6.13 <7.1"),
        "the VMM's write of another revision to GICD_IIDR is taken and changes nothing (mainline "
        "up to 7.0; late 6.1.y and 6.12.y have the repair)",
        recorded("Debian's 6.1.192 and 6.12.118 against 6.16.12, and 6.16.12 against 7.2"),
        (
            Commit(
                "a0e6ae45af17",
                "KVM: arm64: vgic: Fix IIDR revision field extracted from wrong value",
                "7.1",
            ),
        ),
    ),
    Rule(
        "vm_dead_without_vgic",
        ("6.1", ">=6.12"),
        "a VM whose vGIC cannot be mapped is dead: every ioctl fails with EIO (late 6.1.y has it)",
        recorded("Debian's 5.10 against 6.1.192 and 6.12.118, frames of a GICv2 that overlap"),
        (
            Commit(
                "df5fd75ee305",
                "KVM: arm64: Don't eagerly teardown the vgic on init error",
                "6.12",
            ),
        ),
    ),
    Rule(
        "first_run_tried_once",
        ("<5.17",),
        "after a first KVM_RUN that could not map the vGIC the next one goes on without it; since "
        "5.17 it tries again",
        recorded("Debian's 5.10, KVM_RUN again after EINVAL and after ENXIO"),
        (
            Commit(
                "1408e73d21fe",
                "KVM: arm64: Restructure the point where has_run_once is advertised",
                "5.17",
            ),
        ),
    ),
    Rule(
        "first_run_refused_untraced",
        (">=5.17",),
        "a first KVM_RUN that is refused is in no trace: it fails before kvm_arch_vcpu_ioctl_run, "
        "whose return kvm_userspace_exit tells",
        source("kvm_vcpu_ioctl asks kvm_arch_vcpu_run_pid_change first, and so do traces of 6.12"),
        (
            Commit(
                "b5aa368abfbf",
                "KVM: arm64: Merge kvm_arch_vcpu_run_pid_change() and kvm_vcpu_first_run_init()",
                "5.17",
            ),
        ),
    ),
    Rule(
        "vgic_revision_3",
        (">=5.19",),
        "GICD_IIDR says revision 3",
        recorded("5.11 against 6.0, gicv3-kernel-mmio-step"),
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
        recorded("6.12 against 7.2, gicv2-cpuif-bad"),
        (
            Commit("07bb1c5622a5", "KVM: arm64: GICv2: Always trap GICV_DIR register", "6.19"),
            Commit("3cfd59f81e0f", "KVM: arm64: GICv3: Handle LR overflow when EOImode==0", "6.19"),
        ),
    ),
)

VARIANTS: Final[tuple[Rule, ...]] = (
    Rule(
        "gicv_trapped",
        (),
        "accesses to the GICv2 CPU interface trap and hyp emulates them (variant v2trap)",
        recorded("4.14, 4.18, 5.0 and 6.0 with trapping forced on"),
    ),
)

"""What differs between releases in KVM's virtual interrupt controller, as values.

The model reads nothing but this record; which release has which value is the business of the
table of rules. The defaults are those of the newest release.
"""

from __future__ import annotations

from msgspec import Struct


class VgicFeatures(Struct, frozen=True):
    """One kernel's vGIC on one host."""

    implementation_revision: int = 3
    """``GICD_IIDR.Revision``: 0, 2 or 3."""
    groups_writable: bool = True
    """Interrupt groups are the guest's to configure. Before, a GICv3's interrupts were all in
    group 1 and a GICv2's in group 0, while the group registers of both read as group 1."""
    pending_of_hardware: bool = True
    """The guest reads of a timer's interrupt that it is pending where the timer's line is up, not
    where software made it so."""
    line_taken_on_enable: bool = True
    """The line of a timer's interrupt that the guest enables is what the timer makes it then."""
    pending_told_to_user: bool = True
    """The VMM reads of a GICv2 whether a timer's interrupt is pending; else that ends the host."""
    group0_sgi_registers: bool = True
    """``ICC_SGI0R_EL1`` and ``ICC_ASGI1R_EL1`` are emulated; before, they were undefined."""
    level_active_and_pending: bool = False
    """A level interrupt may sit in a list register active and pending at once, and its soft
    pending state is gone as soon as the guest acknowledges it."""
    sgi_sources_together: bool = False
    """A GICv2 SGI from several sources takes one list register for each source at once."""
    sgi_active_source: bool = True
    """The source of an active GICv2 SGI survives an exit."""
    sgis_pend_as_others: bool = False
    """The guest's writes of a GICv2's GICD_ISPENDR0 and GICD_ICPENDR0 reach SGIs as well."""
    lr_overflow: bool = True
    """Interrupts beyond the list registers: pending ones go before active ones, undeliverable
    ones last, ``EOIcount`` deactivates those that are outside, and a group that is enabled or
    disabled raises a maintenance interrupt."""
    traps_dir_with_spis: bool = True
    """``ICC_DIR_EL1`` traps once an SPI has been queued or an active interrupt is outside the
    list registers."""
    gicv_dir_page_trapped: bool = True
    """The second page of a GICv2 CPU interface (``GICV_DIR``) is emulated, not mapped."""
    redistributor_is_one_device: bool = True
    """The two frames of a redistributor are one region of 128 KiB, not two of 64 KiB."""
    wfi_heeds_priority: bool = True
    """A pending interrupt that is active or masked by priority does not end a WFI."""
    irq_line_vcpu2: bool = True
    """``KVM_IRQ_LINE`` takes bits 31:28 as ``vcpu2_index``, no longer as part of the type."""
    pendbaser_52bit: bool = True
    """``GICR_PENDBASER`` and ``GICR_PROPBASER`` keep bits 51:48 of an address."""
    outer_cacheability_same_as_inner: bool = True
    """An outer cacheability that is not supported becomes same-as-inner, not non-cacheable."""
    pendbaser_hides_ptz: bool = True
    """``GICR_PENDBASER.PTZ`` reads as zero."""
    ipa_limit: int = 1 << 40
    """Where the guest's physical address space ends."""
    nr_irqs: int = 64
    """``KVM_DEV_ARM_VGIC_GRP_NR_IRQS``: SGIs, PPIs and SPIs together."""
    system_registers_trapped: bool = False
    """``ICC_*_EL1`` of a GICv3 trap, all but ICC_SRE_EL1, and hyp emulates them."""
    revision_stays: bool = False
    """The VMM's writes of ``GICD_IIDR`` change nothing, whatever revision they ask for."""
    user_sees_last: bool = True
    """The VMM reads ``GICR_TYPER.Last`` as the guest does, and a redistributor that is followed by
    another region's is not the last."""
    typer2_is_settled: bool = True
    """Another value of ``GICD_TYPER2`` than it has is EBUSY once the vGIC is initialised; before,
    it was EINVAL."""
    lpi_registers: bool = True
    """A redistributor has the registers that invalidate LPIs."""
    lpis_by_number: bool = True
    """KVM meets LPIs in the order of their INTIDs, no longer as they were made, and queues those of
    other vCPUs as well where one enables LPIs."""
    disabling_drops_pending: bool = True
    """LPIs that are pending where a vCPU has them disabled are so no more."""
    movall_moves_every: bool = True
    """MOVALL moves the LPIs of every vCPU, not only those of the first that it names."""
    its_saves_what_it_can: bool = True
    """Devices out of reach and events of no collection do not keep tables from being saved, and a
    ``GITS_BASER`` of another value forgets what the table had."""
    its_caches_apart: bool = True
    """Each ITS has a cache of translations without a limit, for its own commands to invalidate;
    once there was one for all, of 16 translations for each vCPU."""
    its_clears_entries: bool = True
    """DISCARD and a MAPD that unmaps write 0 to the entry in guest memory."""
    its_tables_checked: bool = True
    """An event whose entry lies outside guest memory is not mapped, and nothing stays of tables
    that could not be restored as a whole."""
    mapc_unmaps_any: bool = True
    """A MAPC that unmaps is not refused for the vCPU that it names."""
    its_control_checked: bool = True
    """``KVM_DEV_ARM_VGIC_GRP_CTRL`` of an ITS refuses what it does not know, once it ignored it."""
    unknown_sysreg_is_enoent: bool = True
    """What ``KVM_SET_DEVICE_ATTR`` gives for a register that the CPU interface has not: ENOENT, or
    ENXIO."""
    saving_needs_init: bool = True
    """``KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES`` is ENXIO before the vGIC is initialised."""
    ends_checked: bool = True
    """Where a frame ends is looked at before all else, not only where it begins."""
    second_redist_is_eexist: bool = True
    """A redistributor that has its place already: EEXIST, once EINVAL."""
    maintenance_ppi: bool = True
    """There is ``KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ``, which a VM without nested virtualisation cannot
    set."""
    list_registers: int = 4
    """What ``ICH_VTR_EL2.ListRegs`` or ``GICH_VTR`` says, plus one."""

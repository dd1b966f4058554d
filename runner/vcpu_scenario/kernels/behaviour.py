"""What a kernel release does, as one switch for each rule of :mod:`.rules`, and what is modelled
of it (:mod:`.modelled`).

The machine asks for behaviour, never for a version.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The rules of one kernel: each field is the name of one, but for the last."""

    # Single-step over emulated instructions.
    step_exit_faked: bool = False
    hyp_skip_faked: bool = False
    skip_clears_ss: bool = False
    pc_adjusted_at_entry: bool = False
    pc_committed_on_return: bool = False
    active_pending_kept: bool = False
    step_state_swapped_at_load: bool = False
    guest_mdscr_kept_short: bool = False
    guest_debug_owns_registers: bool = False
    guest_owns_debug_registers: bool = False
    # MMIO.
    mmio_skip_at_completion: bool = False
    mmio_completed_once: bool = False
    mmio_completion_from_esr: bool = False
    mmio_not_completed_over_exception: bool = False
    mmio_sign_extends: bool = False
    nisv_to_user: bool = False
    vcpu_events: bool = False
    vcpu_events_need_init: bool = False
    external_abort_from_user: bool = False
    user_aborts_committed_at_once: bool = False
    coalesced_ring_filled: bool = False
    ipa_beyond_limit_aborts: bool = False
    injected_esr_sign_extended: bool = False
    injected_walk_abort_has_level: bool = False
    injected_il_set: bool = False
    injected_spsr_lost: bool = False
    injected_flags_kept: bool = False
    # Exit records.
    debug_hsr_high: bool = False
    system_event_data: bool = False
    watchpoint_far: bool = False
    # Memory.
    memslots_32767: bool = False
    walk_fault_reads: bool = False
    fetch_walk_fault_writes: bool = False
    dirty_log_initially_set: bool = False
    dirty_log_manual_protect: bool = False
    user_memory2: bool = False
    guest_memfd: bool = False
    # Hypercalls.
    smccc_filter: bool = False
    smccc_filter_of_nothing_refused: bool = False
    smc_undefined: bool = False
    smc_not_advanced: bool = False
    smc_is_smccc: bool = False
    smccc_results_in_x0_to_x3: bool = False
    smccc_1_1: bool = False
    smccc_workaround_1_in_hyp: bool = False
    smccc_workaround_2_in_hyp: bool = False
    smccc_workaround_3_in_hyp: bool = False
    smccc_pv_time: bool = False
    psci_1_0: bool = False
    psci_1_1: bool = False
    psci_system_suspend: bool = False
    vcpu_suspends: bool = False
    psci_arguments_narrowed: bool = False
    psci_affinity_checked: bool = False
    psci_1_3: bool = False
    smccc_features_32bit: bool = False
    smccc_trng: bool = False
    smccc_vendor_hyp: bool = False
    # Trapped registers.
    id_registers_trapped: bool = False
    id_csv3_reported: bool = False
    id_gic_hidden: bool = False
    id_gic_shown: bool = False
    id_pmu_hidden: bool = False
    id_debug_limited: bool = False
    implementation_id_trapped: bool = False
    ctr_trapped: bool = False
    id_registers_writable: bool = False
    vcpu_ids_reset_once: bool = False
    aarch32_id_writable: bool = False
    id_levels_stay: bool = False
    id_pmu_signed: bool = False
    id_stage_2_granules_writable: bool = False
    ctr_writable: bool = False
    ctr_policy_writable: bool = False
    id_ras_writable: bool = False
    implementation_id_writable: bool = False
    id_isar3_masked: bool = False
    id_df2_masked: bool = False
    id_lsui_masked: bool = False
    affinities_indexed: bool = False
    counter_offset: bool = False
    hyp_timers_known: bool = False
    vm_type_ipa_size: bool = False
    physical_timer_registers: bool = False
    timer_control_plain: bool = False
    permission_registers_listed: bool = False
    hypercall_bitmaps: bool = False
    hypercall_bitmap_2: bool = False
    generic_target_accepted: bool = False
    nested_features_known: bool = False
    power_off_ephemeral: bool = False
    reset_keeps_el1_banked: bool = False
    reset_keeps_pending: bool = False
    reset_clears_timer_compare: bool = False
    os_lock_emulated: bool = False
    pmu_undefined: bool = False
    # The PMU of a vCPU that has one.
    pmu_init_required: bool = False
    pmu_chosen: bool = False
    pmu_counters_narrow: bool = False
    pmu_counters_chosen: bool = False
    pmu_registers_narrow: bool = False
    pmu_limits_writable: bool = False
    pmu_flags_plain: bool = False
    pmu_chain_counted: bool = False
    pmu_cycle_overflow_lost: bool = False
    pmu_overflow_of_any_counter: bool = False
    # The interrupt controller's registers where there is none.
    sgi_undefined_without_gic: bool = False
    icc_undefined_without_gic: bool = False
    # vGIC.
    device_addr_of_gicv2_alone: bool = False
    irqchip_wants_gicv2_first: bool = False
    vgic_sgi_sources_in_turn: bool = False
    vgic_lr_state_separate: bool = False
    vgic_groups_writable: bool = False
    vgic_pending_of_hardware: bool = False
    wfi_ended_by_timer: bool = False
    wfi_ended_by_untold_timer: bool = False
    vgic_wfi_heeds_priority: bool = False
    irq_line_vcpu2: bool = False
    vgic_table_address_52bit: bool = False
    vgic_pending_table_zero_hidden: bool = False
    vgic_outer_same_as_inner: bool = False
    timer_lines_uncached: bool = False
    vgic_redistributor_one_region: bool = False
    vgic_ends_checked: bool = False
    irqfd_injects_at_once: bool = False
    vgic_second_redist_eexist: bool = False
    vgic_user_sees_last: bool = False
    vgic_saving_needs_init: bool = False
    vgic_sysreg_enoent: bool = False
    vgic_maintenance_ppi: bool = False
    vgic_typer2_settled: bool = False
    vgic_revision_stays: bool = False
    vm_dead_without_vgic: bool = False
    first_run_tried_once: bool = False
    first_run_refused_untraced: bool = False
    vgic_revision_3: bool = False
    vgic_lr_overflow: bool = False
    # ITS.
    its_seen: bool = False
    its_tables_checked: bool = False
    its_targets_by_number: bool = False
    vgic_lpis_by_number: bool = False
    vgic_lpis_dropped: bool = False
    its_movall_moves_every: bool = False
    its_saves_what_it_can: bool = False
    its_caches_apart: bool = False
    its_clears_entries: bool = False
    its_control_checked: bool = False
    gicv_trapped: bool = False
    # Hosts.
    pkvm_debug_mdscr_lost: bool = False
    gicv3_trapped: bool = False
    hyp_bpr1_looks_at_value: bool = False
    pkvm_vm_copied: bool = False
    pkvm_irq_lines_lost: bool = False
    pkvm_serror_lost: bool = False
    # What is modelled of some releases alone.
    pmu_seen: bool = False
    gicv2_pending_told_to_vmm: bool = False
    reg_masks_seen: bool = False

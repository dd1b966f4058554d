"""What a kernel release does, as one switch for each rule of :mod:`.rules`, and what is modelled
of it (:mod:`.modelled`).

The machine asks for behaviour, never for a version.
"""

from __future__ import annotations

from collections.abc import Set

from msgspec import Struct


class Behaviour(Struct, frozen=True, eq=False):
    """The rules of one kernel: each field is the name of one, but for the last."""

    # Single-step over emulated instructions.
    step_exit_faked: bool
    hyp_skip_faked: bool
    skip_clears_ss: bool
    pc_adjusted_at_entry: bool
    pc_committed_on_return: bool
    active_pending_kept: bool
    step_state_swapped_at_load: bool
    guest_mdscr_kept_short: bool
    guest_debug_owns_registers: bool
    guest_owns_debug_registers: bool
    # MMIO.
    mmio_skip_at_completion: bool
    mmio_completed_once: bool
    mmio_completion_from_esr: bool
    mmio_not_completed_over_exception: bool
    mmio_sign_extends: bool
    nisv_to_user: bool
    vcpu_events: bool
    vcpu_events_need_init: bool
    external_abort_from_user: bool
    user_aborts_committed_at_once: bool
    coalesced_ring_filled: bool
    ipa_beyond_limit_aborts: bool
    injected_esr_sign_extended: bool
    injected_walk_abort_has_level: bool
    injected_il_set: bool
    injected_spsr_lost: bool
    injected_flags_kept: bool
    # Exit records.
    debug_hsr_high: bool
    system_event_data: bool
    watchpoint_far: bool
    # Memory.
    memslots_32767: bool
    walk_fault_reads: bool
    fetch_walk_fault_writes: bool
    dirty_log_initially_set: bool
    dirty_log_manual_protect: bool
    user_memory2: bool
    guest_memfd: bool
    # Hypercalls.
    smccc_filter: bool
    smccc_filter_of_nothing_refused: bool
    smc_undefined: bool
    smc_not_advanced: bool
    smc_is_smccc: bool
    smccc_results_in_x0_to_x3: bool
    smccc_1_1: bool
    smccc_workaround_1_in_hyp: bool
    smccc_workaround_2_in_hyp: bool
    smccc_workaround_3_in_hyp: bool
    smccc_pv_time: bool
    psci_1_0: bool
    psci_1_1: bool
    psci_system_suspend: bool
    vcpu_suspends: bool
    psci_arguments_narrowed: bool
    psci_affinity_checked: bool
    psci_1_3: bool
    smccc_features_32bit: bool
    smccc_trng: bool
    smccc_vendor_hyp: bool
    # Trapped registers.
    id_registers_trapped: bool
    id_csv3_reported: bool
    id_gic_hidden: bool
    id_gic_shown: bool
    id_pmu_hidden: bool
    id_debug_limited: bool
    implementation_id_trapped: bool
    ctr_trapped: bool
    id_registers_listed: bool
    disr_listed: bool
    psci_version_register: bool
    core_ids_checked: bool
    core_ids_listed: bool
    workaround_registers: bool
    pmcr_listed: bool
    zfr0_hidden: bool
    id_registers_writable: bool
    vcpu_ids_reset_once: bool
    aarch32_id_writable: bool
    id_levels_stay: bool
    id_pmu_signed: bool
    id_stage_2_granules_writable: bool
    ctr_writable: bool
    ctr_policy_writable: bool
    id_ras_writable: bool
    implementation_id_writable: bool
    id_isar3_masked: bool
    id_df2_masked: bool
    id_lsui_masked: bool
    affinities_indexed: bool
    counter_offset: bool
    hyp_timers_known: bool
    vm_type_ipa_size: bool
    physical_timer_registers: bool
    timer_control_plain: bool
    permission_registers_listed: bool
    hypercall_bitmaps: bool
    hypercall_bitmap_2: bool
    generic_target_accepted: bool
    nested_features_known: bool
    power_off_ephemeral: bool
    reset_keeps_el1_banked: bool
    reset_keeps_pending: bool
    reset_clears_timer_compare: bool
    os_lock_emulated: bool
    pmu_undefined: bool
    # The PMU of a vCPU that has one.
    pmu_init_required: bool
    pmu_chosen: bool
    pmu_counters_narrow: bool
    pmu_counters_chosen: bool
    pmu_registers_narrow: bool
    pmu_control_clean: bool
    pmu_limits_writable: bool
    pmu_flags_plain: bool
    pmu_chain_counted: bool
    pmu_cycle_overflow_lost: bool
    pmu_overflow_of_any_counter: bool
    # The interrupt controller's registers where there is none.
    sgi_undefined_without_gic: bool
    icc_undefined_without_gic: bool
    # vGIC.
    device_addr_of_gicv2_alone: bool
    irqchip_wants_gicv2_first: bool
    vgic_sgi_sources_in_turn: bool
    vgic_lr_state_separate: bool
    vgic_groups_writable: bool
    vgic_pending_of_hardware: bool
    wfi_ended_by_timer: bool
    wfi_ended_by_untold_timer: bool
    vgic_wfi_heeds_priority: bool
    irq_line_vcpu2: bool
    vgic_table_address_52bit: bool
    vgic_pending_table_zero_hidden: bool
    vgic_outer_same_as_inner: bool
    timer_lines_uncached: bool
    physical_tval_word: bool
    vgic_redistributor_one_region: bool
    vgic_ends_checked: bool
    irqfd_injects_at_once: bool
    vgic_second_redist_eexist: bool
    vgic_user_sees_last: bool
    vgic_saving_needs_init: bool
    vgic_sysreg_enoent: bool
    vgic_maintenance_ppi: bool
    vgic_typer2_settled: bool
    gicv2_sgi_pending_ignored: bool
    vgic_revision_stays: bool
    vm_dead_without_vgic: bool
    first_run_tried_once: bool
    first_run_refused_untraced: bool
    vgic_revision_3: bool
    vgic_lr_overflow: bool
    # ITS.
    its_seen: bool
    its_tables_checked: bool
    its_targets_by_number: bool
    vgic_lpis_by_number: bool
    vgic_lpis_dropped: bool
    its_movall_moves_every: bool
    its_saves_what_it_can: bool
    its_caches_apart: bool
    its_clears_entries: bool
    its_control_checked: bool
    gicv_trapped: bool
    # Hosts.
    pkvm_debug_mdscr_lost: bool
    gicv3_trapped: bool
    hyp_bpr1_looks_at_value: bool
    pkvm_vm_copied: bool
    pkvm_irq_lines_lost: bool
    pkvm_serror_lost: bool
    # What is modelled of some releases alone.
    pmu_seen: bool
    gicv2_pending_told_to_vmm: bool
    reg_masks_seen: bool
    timer_line_taken_on_enable: bool
    physical_tval_seen: bool


def behaviour_of(switches: Set[str]) -> Behaviour:
    """The one in which these are on, and nothing else is."""
    return Behaviour(*(name in switches for name in Behaviour.__struct_fields__))

"""Capabilities by their names in lower case without ``kvm_cap_``, with their numbers."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kvm import abi

NUMBERS: Final = {
    "irqchip": 0,
    "user_memory": 3,
    "nr_vcpus": 9,
    "nr_memslots": 10,
    "mp_state": 14,
    "coalesced_mmio": 15,
    "sync_mmu": 16,
    "destroy_memory_region_works": 21,
    "set_guest_debug": 23,
    "irq_routing": 25,
    "join_memory_regions_works": 30,
    "irqfd": 32,
    "ioeventfd": 36,
    "internal_error_data": 40,
    "vcpu_events": 41,
    "max_vcpus": 66,
    "one_reg": 70,
    "signal_msi": 77,
    "readonly_mem": 81,
    "irqfd_resample": 82,
    "arm_psci": 87,
    "arm_set_device_addr": 88,
    "device_ctrl": 89,
    "arm_el1_32bit": 93,
    "enable_cap_vm": 98,
    "arm_psci_0_2": 102,
    "check_extension_vm": 105,
    "guest_debug_hw_bps": 119,
    "guest_debug_hw_wps": 120,
    "ioeventfd_any_length": 122,
    "arm_pmu_v3": 126,
    "vcpu_attributes": 127,
    "max_vcpu_id": 128,
    "msi_devid": 131,
    "immediate_exit": 136,
    "arm_user_irq": 144,
    "arm_inject_serror_esr": 158,
    "coalesced_pio": 162,
    "arm_vm_ipa_size": 165,
    "manual_dirty_log_protect2": abi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
    "arm_sve": 170,
    "arm_ptrauth_address": 171,
    "arm_ptrauth_generic": 172,
    "arm_irq_line_layout_2": 174,
    "arm_nisv_to_user": abi.KVM_CAP_ARM_NISV_TO_USER,
    "arm_inject_ext_dabt": 178,
    "halt_poll": 182,
    "steal_time": 187,
    "dirty_log_ring": 192,
    "set_guest_debug2": 195,
    "ptp_kvm": 198,
    "binary_stats_fd": 203,
    "arm_mte": 205,
    "system_event_data": 215,
    "arm_system_suspend": abi.KVM_CAP_ARM_SYSTEM_SUSPEND,
    "dirty_log_ring_acq_rel": 223,
    "dirty_log_ring_with_bitmap": 225,
    "counter_offset": 227,
    "arm_eager_split_chunk_size": 228,
    "arm_supported_block_sizes": 229,
    "arm_supported_reg_mask_ranges": 230,
    "user_memory2": 231,
    "guest_memfd": 234,
    "arm_writable_imp_id_regs": abi.KVM_CAP_ARM_WRITABLE_IMP_ID_REGS,
    "arm_el2": 240,
    "arm_el2_e2h0": 241,
    "arm_cacheable_pfnmap_supported": 243,
    "guest_memfd_flags": 244,
    "arm_sea_to_user": 245,
}
NAMES: Final = {number: name for name, number in NUMBERS.items()}


def said(number: int) -> str:
    """The capability as the uAPI calls it, or its number where it has no name here."""
    name = NAMES.get(number)
    return str(number) if name is None else f"KVM_CAP_{name.upper()}"

"""What ``KVM_CHECK_EXTENSION`` of a VM gives on a Cortex-A57, as Debian's kernels answered.

Each number up to 299 was asked on 5.10, 6.1, 6.12, 6.16, 6.17 and 7.2. A release between two of
them that gave the same gives that too; of others nothing is said, but where a rule says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kernels.release import parse_range
from vcpu_scenario.kernels.table import Kernel
from vcpu_scenario.kvm.capabilities import NAMES

_OLDEST: Final = "5.10"
_ASKED: Final = f"{_OLDEST}..7.2"
_MOST: Final = 299

_OLD: Final = frozenset(
    [
        "arm_psci",
        "arm_psci_0_2",
        "arm_set_device_addr",
        "coalesced_mmio",
        "destroy_memory_region_works",
        "device_ctrl",
        "ioeventfd",
        "irqchip",
        "mp_state",
        "one_reg",
        "readonly_mem",
        "sync_mmu",
        "user_memory",
    ]
)
"""In ``kvm_vm_ioctl_check_extension`` of trees older than 4.14 as well."""

_SAME: Final = {
    **dict.fromkeys(_OLD, 1),
    **dict.fromkeys(
        [
            "arm_el1_32bit",
            "arm_inject_ext_dabt",
            "arm_irq_line_layout_2",
            "arm_nisv_to_user",
            "arm_pmu_v3",
            "arm_user_irq",
            "check_extension_vm",
            "coalesced_pio",
            "enable_cap_vm",
            "halt_poll",
            "immediate_exit",
            "internal_error_data",
            "ioeventfd_any_length",
            "irqfd",
            "irqfd_resample",
            "join_memory_regions_works",
            "set_guest_debug",
            "signal_msi",
            "steal_time",
            "vcpu_attributes",
            "vcpu_events",
        ],
        1,
    ),
    "arm_vm_ipa_size": 44,
    "irq_routing": 4096,
    "manual_dirty_log_protect2": 3,
    "max_vcpu_id": 512,
    "max_vcpus": 512,
    "msi_devid": 0,
}
"""On all of them the same."""

_SINCE: Final = {
    "set_guest_debug2": ("5.10", "6.1", 0x3_0003),
    "binary_stats_fd": ("5.10", "6.1", 1),
    "dirty_log_ring_acq_rel": ("6.1", "6.12", 0x10_0000),
    "dirty_log_ring_with_bitmap": ("6.1", "6.12", 1),
    "arm_supported_block_sizes": ("6.1", "6.12", 0x4020_1000),
    "arm_supported_reg_mask_ranges": ("6.1", "6.12", 1),
    "guest_memfd_flags": ("6.17", "7.2", 3),
    "arm_sea_to_user": ("6.17", "7.2", 1),
}
"""The last that gave 0, the first that gave something, and what."""

_BY_RULE: Final[Mapping[str, tuple[Callable[[Behaviour], bool], int, int]]] = {
    "user_memory2": (lambda behaviour: behaviour.user_memory2, 0, 1),
    "guest_memfd": (lambda behaviour: behaviour.guest_memfd, 0, 1),
    "nr_memslots": (lambda behaviour: behaviour.memslots_32767, 512, 32767),
    "ptp_kvm": (lambda behaviour: behaviour.smccc_vendor_hyp, 0, 1),
    "system_event_data": (lambda behaviour: behaviour.system_event_data, 0, 1),
    "arm_system_suspend": (lambda behaviour: behaviour.psci_system_suspend, 0, 1),
    "counter_offset": (lambda behaviour: behaviour.counter_offset, 0, 1),
    "arm_writable_imp_id_regs": (lambda behaviour: behaviour.implementation_id_writable, 0, 1),
}
"""What tells them apart, and what they give without it and with it."""

_OF_THE_CPU: Final = {"guest_debug_hw_bps": 12, "guest_debug_hw_wps": 20}
"""Where ID_AA64DFR0_EL1 says one less (``get_num_brps``, ``get_num_wrps``), on each kernel."""
_OF_THE_HOST: Final = frozenset(("nr_vcpus",))


def extension(kernel: Kernel, cap: int) -> int | None:
    """What the VM of ``kernel`` says of the capability with this number; None where that is not
    known."""
    plain, _, host = kernel.name.partition("+")
    name = NAMES.get(cap, "")
    if (shift := _OF_THE_CPU.get(name)) is not None:
        return (kernel.cpu.id_registers[sysregs.ID_AA64DFR0_EL1] >> shift & 0xF) + 1
    if host or cap > _MOST or name in _OF_THE_HOST:
        return None
    if not parse_range(_ASKED).matches(plain):
        return 1 if name in _OLD and parse_range(f"<{_OLDEST}").matches(plain) else None
    if (rule := _BY_RULE.get(name)) is not None:
        told_by, without, value = rule
        return value if told_by(kernel.behaviour) else without
    if name in _SINCE:
        last, first, given = _SINCE[name]
        if parse_range(f">={first}").matches(plain):
            return given
        return 0 if parse_range(f"<={last}").matches(plain) else None
    return _SAME.get(name, 0)

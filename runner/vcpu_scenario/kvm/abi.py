"""``struct kvm_run`` and the rest of the KVM uAPI that arm64 uses, as ctypes.

Every name and number is the one of ``include/uapi/linux/kvm.h`` and
``arch/arm64/include/uapi/asm/kvm.h``. The union in :class:`kvm_run` is a real union: what real
KVM leaves behind in it (``debug.arch.far`` lies over ``mmio.data``) is left behind here too.
"""

from __future__ import annotations

import ctypes
from ctypes import c_uint8, c_uint16, c_uint32, c_uint64
from typing import Final

KVM_EXIT_UNKNOWN: Final = 0
KVM_EXIT_HYPERCALL: Final = 3
KVM_EXIT_DEBUG: Final = 4
KVM_EXIT_MMIO: Final = 6
KVM_EXIT_SHUTDOWN: Final = 8
KVM_EXIT_FAIL_ENTRY: Final = 9
KVM_EXIT_INTR: Final = 10
KVM_EXIT_INTERNAL_ERROR: Final = 17
KVM_EXIT_SYSTEM_EVENT: Final = 24
KVM_EXIT_ARM_NISV: Final = 28
KVM_EXIT_MEMORY_FAULT: Final = 39
KVM_EXIT_ARM_SEA: Final = 41
KVM_EXIT_ARM_LDST64B: Final = 42

EXIT_NAMES: Final = {
    value: name.removeprefix("KVM_EXIT_")
    for name, value in list(globals().items())
    if name.startswith("KVM_EXIT_")
}
"""``exit_reason`` to its name without the prefix, as recorded traces write it."""

KVM_GUESTDBG_ENABLE: Final = 1 << 0
KVM_GUESTDBG_SINGLESTEP: Final = 1 << 1
KVM_GUESTDBG_USE_SW_BP: Final = 1 << 16
KVM_GUESTDBG_USE_HW: Final = 1 << 17

KVM_DEBUG_ARCH_HSR_HIGH_VALID: Final = 1 << 0

KVM_SYSTEM_EVENT_SHUTDOWN: Final = 1
KVM_SYSTEM_EVENT_RESET: Final = 2
KVM_SYSTEM_EVENT_CRASH: Final = 3
KVM_SYSTEM_EVENT_WAKEUP: Final = 4
KVM_SYSTEM_EVENT_SUSPEND: Final = 5
SYSTEM_EVENTS: Final = {
    "shutdown": KVM_SYSTEM_EVENT_SHUTDOWN,
    "reset": KVM_SYSTEM_EVENT_RESET,
    "crash": KVM_SYSTEM_EVENT_CRASH,
    "wakeup": KVM_SYSTEM_EVENT_WAKEUP,
    "suspend": KVM_SYSTEM_EVENT_SUSPEND,
}
"""By what they are called in scenarios and reports."""

KVM_MP_STATE_RUNNABLE: Final = 0
KVM_MP_STATE_STOPPED: Final = 5
KVM_MP_STATE_SUSPENDED: Final = 10

KVM_MEM_LOG_DIRTY_PAGES: Final = 1 << 0
KVM_MEM_READONLY: Final = 1 << 1
KVM_MEM_GUEST_MEMFD: Final = 1 << 2

KVM_ARM_VCPU_POWER_OFF: Final = 0
KVM_ARM_VCPU_EL1_32BIT: Final = 1
KVM_ARM_VCPU_PSCI_0_2: Final = 2
KVM_ARM_VCPU_PMU_V3: Final = 3

KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: Final = 168
KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE: Final = 1 << 0
KVM_DIRTY_LOG_INITIALLY_SET: Final = 1 << 1
KVM_CAP_ARM_NISV_TO_USER: Final = 177
KVM_CAP_ARM_SYSTEM_SUSPEND: Final = 216
KVM_CAP_ARM_WRITABLE_IMP_ID_REGS: Final = 239

KVM_SMCCC_FILTER_HANDLE: Final = 0
KVM_SMCCC_FILTER_DENY: Final = 1
KVM_SMCCC_FILTER_FWD_TO_USER: Final = 2

KVM_HYPERCALL_EXIT_SMC: Final = 1 << 0

KVM_ARM_IRQ_TYPE_SHIFT: Final = 24
KVM_ARM_IRQ_VCPU_SHIFT: Final = 16
KVM_ARM_IRQ_VCPU2_SHIFT: Final = 28
KVM_ARM_IRQ_TYPE_CPU: Final = 0
KVM_ARM_IRQ_TYPE_SPI: Final = 1
KVM_ARM_IRQ_TYPE_PPI: Final = 2
FIRST_SPI: Final = 32
"""Lower interrupts are private to a vCPU."""

MAX_DEBUG_REGS: Final = 16
"""``KVM_ARM_MAX_DBG_REGS``: slots in ``struct kvm_guest_debug_arch``."""

COALESCED_RING_PAGE: Final = 1
"""``KVM_COALESCED_MMIO_PAGE_OFFSET``: the page of the vCPU mapping that holds the ring."""


class kvm_debug_exit_arch(ctypes.Structure):  # noqa: N801  the uAPI's own name
    _fields_ = [("hsr", c_uint32), ("hsr_high", c_uint32), ("far", c_uint64)]


class kvm_run_mmio(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("phys_addr", c_uint64),
        ("data", c_uint8 * 8),
        ("len", c_uint32),
        ("is_write", c_uint8),
    ]


class _hypercall(ctypes.Structure):  # noqa: N801
    _fields_ = [("nr", c_uint64), ("args", c_uint64 * 6), ("ret", c_uint64), ("flags", c_uint64)]


class _system_event(ctypes.Structure):  # noqa: N801
    _fields_ = [("type", c_uint32), ("ndata", c_uint32), ("data", c_uint64 * 16)]


class _arm_nisv(ctypes.Structure):  # noqa: N801
    _fields_ = [("esr_iss", c_uint64), ("fault_ipa", c_uint64)]


class _internal(ctypes.Structure):  # noqa: N801
    _fields_ = [("suberror", c_uint32), ("ndata", c_uint32), ("data", c_uint64 * 16)]


class _exit_union(ctypes.Union):  # noqa: N801
    _fields_ = [
        ("debug", kvm_debug_exit_arch),
        ("mmio", kvm_run_mmio),
        ("hypercall", _hypercall),
        ("system_event", _system_event),
        ("arm_nisv", _arm_nisv),
        ("internal", _internal),
        ("padding", c_uint8 * 256),
    ]


KVM_ARM_DEV_EL1_VTIMER: Final = 1
KVM_ARM_DEV_EL1_PTIMER: Final = 2
KVM_ARM_DEV_PMU: Final = 4


class _sync_regs(ctypes.Structure):  # noqa: N801
    _fields_ = [("device_irq_level", c_uint64)]


class _sync_union(ctypes.Union):  # noqa: N801
    _fields_ = [("regs", _sync_regs), ("padding", c_uint8 * 2048)]


class kvm_run(ctypes.Structure):  # noqa: N801
    """The page that ``KVM_RUN`` shares with userspace; 2352 bytes, the union at offset 32."""

    _anonymous_ = ("u",)
    _fields_ = [
        ("request_interrupt_window", c_uint8),
        ("immediate_exit", c_uint8),
        ("padding1", c_uint8 * 6),
        ("exit_reason", c_uint32),
        ("ready_for_interrupt_injection", c_uint8),
        ("if_flag", c_uint8),
        ("flags", c_uint16),
        ("cr8", c_uint64),
        ("apic_base", c_uint64),
        ("u", _exit_union),
        ("kvm_valid_regs", c_uint64),
        ("kvm_dirty_regs", c_uint64),
        ("s", _sync_union),
    ]


class kvm_guest_debug_arch(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("dbg_bcr", c_uint64 * MAX_DEBUG_REGS),
        ("dbg_bvr", c_uint64 * MAX_DEBUG_REGS),
        ("dbg_wcr", c_uint64 * MAX_DEBUG_REGS),
        ("dbg_wvr", c_uint64 * MAX_DEBUG_REGS),
    ]


class kvm_guest_debug(ctypes.Structure):  # noqa: N801
    _fields_ = [("control", c_uint32), ("pad", c_uint32), ("arch", kvm_guest_debug_arch)]


class kvm_coalesced_mmio(ctypes.Structure):  # noqa: N801
    """One entry of the coalesced ring, 24 bytes."""

    _fields_ = [
        ("phys_addr", c_uint64),
        ("len", c_uint32),
        ("pio", c_uint32),
        ("data", c_uint8 * 8),
    ]


COALESCED_RING_MAX: Final = (4096 - 8) // ctypes.sizeof(kvm_coalesced_mmio)
"""``KVM_COALESCED_MMIO_MAX`` for a page of 4 KiB: 170 entries."""


class kvm_coalesced_mmio_ring(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("first", c_uint32),
        ("last", c_uint32),
        ("coalesced_mmio", kvm_coalesced_mmio * COALESCED_RING_MAX),
    ]


class kvm_vcpu_events(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("serror_pending", c_uint8),
        ("serror_has_esr", c_uint8),
        ("ext_dabt_pending", c_uint8),
        ("pad", c_uint8 * 5),
        ("serror_esr", c_uint64),
        ("reserved", c_uint32 * 12),
    ]

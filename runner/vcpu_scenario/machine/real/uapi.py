"""The ioctls of ``/dev/kvm`` and the structures that only ioctls take.

Every name and number is the one of ``include/uapi/linux/kvm.h`` and
``arch/arm64/include/uapi/asm/kvm.h``; what both machines share is in :mod:`vcpu_scenario.kvm.abi`.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_uint8, c_uint32, c_uint64
from typing import Final

from vcpu_scenario.case import Ioeventfd
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.capabilities import NUMBERS

KVMIO: Final = 0xAE

_WRITE: Final = 1
_READ: Final = 2


def _io(number: int) -> int:
    return KVMIO << 8 | number


def _ioc(direction: int, number: int, argument: type[ctypes.Structure]) -> int:
    """``_IOC`` of ``asm-generic/ioctl.h``: direction 2 bits, size 14, type 8, number 8."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | KVMIO << 8 | number


class kvm_userspace_memory_region(ctypes.Structure):  # noqa: N801  the uAPI's own name
    _fields_ = [
        ("slot", c_uint32),
        ("flags", c_uint32),
        ("guest_phys_addr", c_uint64),
        ("memory_size", c_uint64),
        ("userspace_addr", c_uint64),
    ]


class kvm_userspace_memory_region2(ctypes.Structure):  # noqa: N801
    _fields_ = [
        *kvm_userspace_memory_region._fields_,
        ("guest_memfd_offset", c_uint64),
        ("guest_memfd", c_uint32),
        ("pad1", c_uint32),
        ("pad2", c_uint64 * 14),
    ]


class kvm_irq_level(ctypes.Structure):  # noqa: N801
    _fields_ = [("irq", c_uint32), ("level", c_uint32)]


class kvm_dirty_log(ctypes.Structure):  # noqa: N801
    _fields_ = [("slot", c_uint32), ("padding1", c_uint32), ("dirty_bitmap", c_uint64)]


class kvm_clear_dirty_log(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("slot", c_uint32),
        ("num_pages", c_uint32),
        ("first_page", c_uint64),
        ("dirty_bitmap", c_uint64),
    ]


class kvm_smccc_filter(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("base", c_uint32),
        ("nr_functions", c_uint32),
        ("action", c_uint8),
        ("pad", c_uint8 * 15),
    ]


class kvm_coalesced_mmio_zone(ctypes.Structure):  # noqa: N801
    _fields_ = [("addr", c_uint64), ("size", c_uint32), ("pio", c_uint32)]


class kvm_ioeventfd(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("datamatch", c_uint64),
        ("addr", c_uint64),
        ("len", c_uint32),
        ("fd", c_int32),
        ("flags", c_uint32),
        ("pad", c_uint8 * 36),
    ]


class kvm_irqfd(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("fd", c_uint32),
        ("gsi", c_uint32),
        ("flags", c_uint32),
        ("resamplefd", c_uint32),
        ("pad", c_uint8 * 16),
    ]


class kvm_mp_state(ctypes.Structure):  # noqa: N801
    _fields_ = [("mp_state", c_uint32)]


class kvm_enable_cap(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("cap", c_uint32),
        ("flags", c_uint32),
        ("args", c_uint64 * 4),
        ("pad", c_uint8 * 64),
    ]


class kvm_one_reg(ctypes.Structure):  # noqa: N801
    _fields_ = [("id", c_uint64), ("addr", c_uint64)]


class kvm_reg_list(ctypes.Structure):  # noqa: N801
    """The head of the structure: ``n`` ids follow it."""

    _fields_ = [("n", c_uint64)]


class kvm_vcpu_init(ctypes.Structure):  # noqa: N801
    _fields_ = [("target", c_uint32), ("features", c_uint32 * 7)]


class kvm_signal_mask(ctypes.Structure):  # noqa: N801
    """The head of the structure: the set follows it."""

    _fields_ = [("len", c_uint32)]


class kvm_arm_counter_offset(ctypes.Structure):  # noqa: N801
    _fields_ = [("counter_offset", c_uint64), ("reserved", c_uint64)]


class kvm_irq_routing_entry(ctypes.Structure):  # noqa: N801
    """Of the type KVM_IRQ_ROUTING_IRQCHIP; ``rest`` is the room of the union."""

    _fields_ = [
        ("gsi", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("pad", c_uint32),
        ("irqchip", c_uint32),
        ("pin", c_uint32),
        ("rest", c_uint32 * 6),
    ]


class kvm_irq_routing(ctypes.Structure):  # noqa: N801
    """The head of the structure: ``nr`` entries follow it."""

    _fields_ = [("nr", c_uint32), ("flags", c_uint32)]


class kvm_msi(ctypes.Structure):  # noqa: N801
    _fields_ = [
        ("address_lo", c_uint32),
        ("address_hi", c_uint32),
        ("data", c_uint32),
        ("flags", c_uint32),
        ("devid", c_uint32),
        ("pad", c_uint8 * 12),
    ]


class kvm_irq_routing_msi_entry(ctypes.Structure):  # noqa: N801
    """``struct kvm_irq_routing_entry`` of the type KVM_IRQ_ROUTING_MSI."""

    _fields_ = [
        ("gsi", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("pad", c_uint32),
        ("address_lo", c_uint32),
        ("address_hi", c_uint32),
        ("data", c_uint32),
        ("devid", c_uint32),
        ("rest", c_uint32 * 4),
    ]


class kvm_create_device(ctypes.Structure):  # noqa: N801
    _fields_ = [("type", c_uint32), ("fd", c_uint32), ("flags", c_uint32)]


class reg_mask_range(ctypes.Structure):  # noqa: N801
    _fields_ = [("addr", c_uint64), ("range", c_uint32), ("reserved", c_uint32 * 13)]


class kvm_device_attr(ctypes.Structure):  # noqa: N801
    _fields_ = [("flags", c_uint32), ("group", c_uint32), ("attr", c_uint64), ("addr", c_uint64)]


KVM_GET_API_VERSION: Final = _io(0x00)
KVM_CREATE_VM: Final = _io(0x01)
KVM_CHECK_EXTENSION: Final = _io(0x03)
KVM_GET_VCPU_MMAP_SIZE: Final = _io(0x04)
KVM_CREATE_VCPU: Final = _io(0x41)
KVM_SET_USER_MEMORY_REGION: Final = _ioc(_WRITE, 0x46, kvm_userspace_memory_region)
KVM_SET_USER_MEMORY_REGION2: Final = _ioc(_WRITE, 0x49, kvm_userspace_memory_region2)
KVM_GET_DIRTY_LOG: Final = _ioc(_WRITE, 0x42, kvm_dirty_log)
KVM_CLEAR_DIRTY_LOG: Final = _ioc(_WRITE | _READ, 0xC0, kvm_clear_dirty_log)
KVM_CREATE_IRQCHIP: Final = _io(0x60)
KVM_IRQ_LINE: Final = _ioc(_WRITE, 0x61, kvm_irq_level)
KVM_REGISTER_COALESCED_MMIO: Final = _ioc(_WRITE, 0x67, kvm_coalesced_mmio_zone)
KVM_UNREGISTER_COALESCED_MMIO: Final = _ioc(_WRITE, 0x68, kvm_coalesced_mmio_zone)
KVM_SET_GSI_ROUTING: Final = _ioc(_WRITE, 0x6A, kvm_irq_routing)
KVM_IRQ_ROUTING_IRQCHIP: Final = 1
KVM_IRQ_ROUTING_MSI: Final = 2
KVM_MSI_VALID_DEVID: Final = 1 << 0
KVM_IRQFD: Final = _ioc(_WRITE, 0x76, kvm_irqfd)
KVM_IOEVENTFD: Final = _ioc(_WRITE, 0x79, kvm_ioeventfd)
KVM_RUN: Final = _io(0x80)
KVM_SET_SIGNAL_MASK: Final = _ioc(_WRITE, 0x8B, kvm_signal_mask)
KVM_GET_MP_STATE: Final = _ioc(_READ, 0x98, kvm_mp_state)
KVM_SET_MP_STATE: Final = _ioc(_WRITE, 0x99, kvm_mp_state)
KVM_SET_GUEST_DEBUG: Final = _ioc(_WRITE, 0x9B, abi.kvm_guest_debug)
KVM_GET_VCPU_EVENTS: Final = _ioc(_READ, 0x9F, abi.kvm_vcpu_events)
KVM_SET_VCPU_EVENTS: Final = _ioc(_WRITE, 0xA0, abi.kvm_vcpu_events)
KVM_ENABLE_CAP: Final = _ioc(_WRITE, 0xA3, kvm_enable_cap)
KVM_SIGNAL_MSI: Final = _ioc(_WRITE, 0xA5, kvm_msi)
KVM_GET_ONE_REG: Final = _ioc(_WRITE, 0xAB, kvm_one_reg)
KVM_SET_ONE_REG: Final = _ioc(_WRITE, 0xAC, kvm_one_reg)
KVM_ARM_VCPU_INIT: Final = _ioc(_WRITE, 0xAE, kvm_vcpu_init)
KVM_ARM_PREFERRED_TARGET: Final = _ioc(_READ, 0xAF, kvm_vcpu_init)
KVM_GET_REG_LIST: Final = _ioc(_WRITE | _READ, 0xB0, kvm_reg_list)
KVM_ARM_SET_COUNTER_OFFSET: Final = _ioc(_WRITE, 0xB5, kvm_arm_counter_offset)
KVM_ARM_GET_REG_WRITABLE_MASKS: Final = _ioc(_READ, 0xB6, reg_mask_range)
KVM_CREATE_DEVICE_TEST: Final = 1
KVM_CREATE_DEVICE: Final = _ioc(_WRITE | _READ, 0xE0, kvm_create_device)
KVM_SET_DEVICE_ATTR: Final = _ioc(_WRITE, 0xE1, kvm_device_attr)
KVM_GET_DEVICE_ATTR: Final = _ioc(_WRITE, 0xE2, kvm_device_attr)
KVM_HAS_DEVICE_ATTR: Final = _ioc(_WRITE, 0xE3, kvm_device_attr)

KVM_API_VERSION: Final = 12

KVM_CAP_VCPU_EVENTS: Final = NUMBERS["vcpu_events"]
KVM_CAP_ARM_VM_IPA_SIZE: Final = NUMBERS["arm_vm_ipa_size"]
KVM_CAP_COUNTER_OFFSET: Final = NUMBERS["counter_offset"]
KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES: Final = NUMBERS["arm_supported_reg_mask_ranges"]

KVM_IOEVENTFD_FLAG_DATAMATCH: Final = 1 << 0
KVM_IOEVENTFD_FLAG_DEASSIGN: Final = 1 << 2

KVM_IRQFD_FLAG_DEASSIGN: Final = 1 << 0
KVM_IRQFD_FLAG_RESAMPLE: Final = 1 << 1

KVM_ARM_VM_SMCCC_CTRL: Final = 0
KVM_ARM_VM_SMCCC_FILTER: Final = 0
KVM_ARM_VCPU_PVTIME_CTRL: Final = 2
KVM_ARM_VCPU_PVTIME_IPA: Final = 0


def ioeventfd_request(ioeventfd: Ioeventfd, fd: int) -> kvm_ioeventfd:
    """What ``KVM_IOEVENTFD`` takes for it."""
    return kvm_ioeventfd(
        datamatch=ioeventfd.match or 0,
        addr=ioeventfd.addr,
        len=ioeventfd.len,
        fd=fd,
        flags=0 if ioeventfd.match is None else KVM_IOEVENTFD_FLAG_DATAMATCH,
    )

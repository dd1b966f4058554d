"""Ioctls that take no more than a number, or fill a structure that starts as zeros, with the file
that each is for. Those of other architectures are here to be refused."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

File: TypeAlias = Literal["system", "vm", "vcpu"]
"""``/dev/kvm`` itself, the VM's file or the vCPU's."""

_READ: Final = 2


class Request(Struct, frozen=True):
    """``number`` is that of ``ioctl``, with the size of its structure and who writes it."""

    file: File
    number: int

    @property
    def size(self) -> int:
        """Bytes of its structure, 0 where it takes a number."""
        return self.number >> 16 & 0x3FFF

    @property
    def fills(self) -> bool:
        """Whether KVM writes its structure, which is its answer then."""
        return bool(self.number >> 30 & _READ)


CHECK_EXTENSION: Final = "KVM_CHECK_EXTENSION"
PREFERRED_TARGET: Final = "KVM_ARM_PREFERRED_TARGET"
GET_MP_STATE: Final = "KVM_GET_MP_STATE"
GET_VCPU_EVENTS: Final = "KVM_GET_VCPU_EVENTS"
SET_DEVICE_ADDR: Final = "KVM_ARM_SET_DEVICE_ADDR"
HAS_VM_ATTR: Final = "KVM_HAS_DEVICE_ATTR"

REQUESTS: Final = {
    "KVM_GET_API_VERSION": Request("system", 0xAE00),
    "KVM_GET_VCPU_MMAP_SIZE": Request("system", 0xAE04),
    CHECK_EXTENSION: Request("vm", 0xAE03),
    PREFERRED_TARGET: Request("vm", 0x8020_AEAF),
    SET_DEVICE_ADDR: Request("vm", 0x4010_AEAB),
    HAS_VM_ATTR: Request("vm", 0x4018_AEE3),
    "KVM_SET_TSS_ADDR": Request("vm", 0xAE47),
    "KVM_SET_NR_MMU_PAGES": Request("vm", 0xAE44),
    "KVM_SET_BOOT_CPU_ID": Request("vm", 0xAE78),
    "KVM_SET_MEMORY_REGION": Request("vm", 0x4018_AE40),
    "KVM_SET_IDENTITY_MAP_ADDR": Request("vm", 0x4008_AE48),
    "KVM_GET_IRQCHIP": Request("vm", 0xC208_AE62),
    "KVM_SET_IRQCHIP": Request("vm", 0x8208_AE63),
    "KVM_CREATE_PIT2": Request("vm", 0x4040_AE77),
    "KVM_GET_CLOCK": Request("vm", 0x8030_AE7C),
    "KVM_SET_CLOCK": Request("vm", 0x4030_AE7B),
    GET_MP_STATE: Request("vcpu", 0x8004_AE98),
    GET_VCPU_EVENTS: Request("vcpu", 0x8040_AE9F),
    "KVM_GET_REGS": Request("vcpu", 0x8360_AE81),
    "KVM_SET_REGS": Request("vcpu", 0x4360_AE82),
    "KVM_GET_SREGS": Request("vcpu", 0x8000_AE83),
    "KVM_SET_SREGS": Request("vcpu", 0x4000_AE84),
    "KVM_TRANSLATE": Request("vcpu", 0xC018_AE85),
    "KVM_INTERRUPT": Request("vcpu", 0x4004_AE86),
    "KVM_GET_FPU": Request("vcpu", 0x8000_AE8C),
    "KVM_SET_FPU": Request("vcpu", 0x4000_AE8D),
    "KVM_NMI": Request("vcpu", 0xAE9A),
    "KVM_KVMCLOCK_CTRL": Request("vcpu", 0xAEAD),
    "KVM_ENABLE_CAP": Request("vcpu", 0x4068_AEA3),
}

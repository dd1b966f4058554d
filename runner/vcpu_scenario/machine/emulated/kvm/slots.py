"""``KVM_SET_USER_MEMORY_REGION``: which memslots the kernel takes."""

from __future__ import annotations

from errno import EEXIST, EFAULT, EINVAL, ENOMEM
from typing import Final

from vcpu_scenario.case import Memslot
from vcpu_scenario.machine.emulated.cpu.stage2 import PAGE, Stage2
from vcpu_scenario.machine.interface import KvmError

IPA_LIMIT: Final = 1 << 40
"""The guest's physical address space of a VM of type 0."""

_MOST: Final = 1 << 32
"""More than a host has to spare; it must fail here rather than when the guest touches it."""


def check_slot(slot: Memslot, stage2: Stage2) -> None:
    """Raises :class:`~vcpu_scenario.machine.interface.KvmError` as ``__kvm_set_memory_region`` and
    ``kvm_arch_prepare_memory_region`` would, and ENOMEM where a VMM could hardly map as much."""
    what = f"memslot {slot.base:#x}+{slot.size:#x}"
    if slot.size <= 0 or slot.size % PAGE or slot.base < 0 or slot.base % PAGE:
        raise KvmError(EINVAL, what)
    if slot.base + slot.size >= 1 << 64:
        raise KvmError(EINVAL, what)
    if slot.base + slot.size > IPA_LIMIT:
        raise KvmError(EFAULT, what)
    if stage2.overlaps(slot.base, slot.base + slot.size):
        raise KvmError(EEXIST, what)
    if slot.size > _MOST:
        raise KvmError(ENOMEM, what)

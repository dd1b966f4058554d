"""What a VMM asks of its VM between two runs, beyond registers and interrupts: frozen records.

They are actions of :mod:`vcpu_scenario.case`. Addresses are guest physical addresses (IPAs), sizes
are bytes, pages are numbered from the slot's first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Access: TypeAlias = Literal["read_write", "read", "none", "unmapped", "past_end"]
"""What a VMM's own mapping of guest memory lets through: ``unmapped`` is no mapping at all,
``past_end`` that of a file which ends before it."""


@dataclass(frozen=True, slots=True)
class SetMemoryRegion:
    """``KVM_SET_USER_MEMORY_REGION`` of the slot called ``slot``; ``size`` 0 deletes it.

    The VMM's memory of a slot stays the same as long as its size does, also while the slot is
    deleted.
    """

    slot: int
    base: int
    size: int
    readonly: bool = False
    log_dirty: bool = False


@dataclass(frozen=True, slots=True)
class SetHostMapping:
    """The VMM changes its own mapping of a slot's memory: ``mprotect``, ``munmap`` or ``mmap``."""

    slot: int
    access: Access


@dataclass(frozen=True, slots=True)
class GetDirtyLog:
    """``KVM_GET_DIRTY_LOG``; ``pages`` are those expected to be dirty, None for any."""

    slot: int
    pages: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ClearDirtyLog:
    """``KVM_CLEAR_DIRTY_LOG`` of ``count`` pages from ``first`` on, with the bits of ``pages``."""

    slot: int
    first: int
    count: int
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RemoveIoeventfd:
    """``KVM_IOEVENTFD`` with ``KVM_IOEVENTFD_FLAG_DEASSIGN``, of one that was set up like this."""

    addr: int
    len: int
    match: int | None = None


@dataclass(frozen=True, slots=True)
class RemoveCoalescedZone:
    """``KVM_UNREGISTER_COALESCED_MMIO``."""

    addr: int
    size: int


@dataclass(frozen=True, slots=True)
class SetSmcccFilter:
    """``KVM_ARM_VM_SMCCC_FILTER``: ``action`` is one of ``KVM_SMCCC_FILTER_*``."""

    base: int
    count: int
    action: int


@dataclass(frozen=True, slots=True)
class SetStealTime:
    """``KVM_ARM_VCPU_PVTIME_IPA``: where the record of the stolen time is to be."""

    addr: int


@dataclass(frozen=True, slots=True)
class CreateVgic:
    """``KVM_CREATE_DEVICE`` of a vGIC of that version, and nothing more."""

    version: Literal[2, 3]


@dataclass(frozen=True, slots=True)
class SetVgicAttr:
    """``KVM_SET_DEVICE_ATTR`` of the vGIC; ``value`` None hands no address over."""

    group: int
    attr: int
    value: int | None = None


@dataclass(frozen=True, slots=True)
class GetVgicAttr:
    """``KVM_GET_DEVICE_ATTR`` of the vGIC: ``value`` is what is expected, None for any; ``given``
    is what the kernel finds where it writes the value to."""

    group: int
    attr: int
    value: int | None = None
    given: int = 0


@dataclass(frozen=True, slots=True)
class HasVgicAttr:
    """``KVM_HAS_DEVICE_ATTR`` of the vGIC."""

    group: int
    attr: int


@dataclass(frozen=True, slots=True)
class Irqfd:
    """``KVM_IRQFD``: the eventfd that the VMM has for ``gsi`` raises it. One that is resampled
    tells the VMM by a second eventfd when the guest has ended the interrupt."""

    gsi: int
    resample: bool = False


@dataclass(frozen=True, slots=True)
class RemoveIrqfd:
    """``KVM_IRQFD`` with ``KVM_IRQFD_FLAG_DEASSIGN``."""

    gsi: int


@dataclass(frozen=True, slots=True)
class SignalIrqfd:
    """The VMM writes to the eventfd that it has for ``gsi``."""

    gsi: int


@dataclass(frozen=True, slots=True)
class ReadResamples:
    """The VMM reads the eventfd that resampling signals: ``count`` is how often it must have been
    signalled since it was read last, None for any."""

    gsi: int
    count: int | None = None

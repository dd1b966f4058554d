"""What a VMM asks of its VM between two runs, beyond registers and interrupts: frozen records.

They are actions of :mod:`vcpu_scenario.case`. Addresses are guest physical addresses (IPAs), sizes
are bytes, pages are numbered from the slot's first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Into: TypeAlias = Literal["new_vm", "same_vm"]
"""Where the vCPUs are that a snapshot is restored into: new ones of a new VM, or those that there
are, after ``KVM_ARM_VCPU_INIT``."""

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
    bits: int = 0
    """Further bits of ``flags``, which no such ioctl takes."""


@dataclass(frozen=True, slots=True)
class SetHostMapping:
    """The VMM changes its own mapping of a slot's memory: ``mprotect``, ``munmap`` or ``mmap``."""

    slot: int
    access: Access


@dataclass(frozen=True, slots=True)
class DiscardMemory:
    """``MADV_DONTNEED`` of the VMM's memory of a slot: it is zero from then on, or, with a
    userfaultfd, each page is what it was once it is touched."""

    slot: int
    userfaultfd: bool = False


@dataclass(frozen=True, slots=True)
class GetUserfaults:
    """The pages that were touched, of those that a userfaultfd puts back, since this was asked
    last; ``written`` are those among them that a write met."""

    slot: int
    pages: tuple[int, ...]
    written: tuple[int, ...] = ()


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
class EmptyRing:
    """No ioctl: the VMM takes all entries out of the coalesced ring, whose next one is ``at``."""

    at: int


@dataclass(frozen=True, slots=True)
class SetSmcccFilter:
    """``KVM_ARM_VM_SMCCC_FILTER``: ``action`` is one of ``KVM_SMCCC_FILTER_*``, ``pad`` each byte
    of the padding."""

    base: int
    count: int
    action: int
    pad: int = 0


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
class SetVcpuAttr:
    """``KVM_SET_DEVICE_ATTR`` of a vCPU; ``value`` None hands no address over."""

    group: int
    attr: int
    value: int | None = None


@dataclass(frozen=True, slots=True)
class GetVcpuAttr:
    """``KVM_GET_DEVICE_ATTR`` of a vCPU: ``value`` is what is expected, None for any."""

    group: int
    attr: int
    value: int | None = None


@dataclass(frozen=True, slots=True)
class HasVcpuAttr:
    """``KVM_HAS_DEVICE_ATTR`` of a vCPU."""

    group: int
    attr: int


@dataclass(frozen=True, slots=True)
class CreateDevice:
    """``KVM_CREATE_DEVICE`` of a type by its number; ``test`` is ``KVM_CREATE_DEVICE_TEST``."""

    type: int
    test: bool = False


@dataclass(frozen=True, slots=True)
class SetItsAttr:
    """``KVM_SET_DEVICE_ATTR`` of an ITS; ``value`` None hands no address over. ``its`` counts those
    of the VM as they were created, from 0."""

    group: int
    attr: int
    value: int | None = None
    its: int = 0


@dataclass(frozen=True, slots=True)
class GetItsAttr:
    """``KVM_GET_DEVICE_ATTR`` of an ITS: ``value`` is what is expected, None for any."""

    group: int
    attr: int
    value: int | None = None
    its: int = 0


@dataclass(frozen=True, slots=True)
class HasItsAttr:
    """``KVM_HAS_DEVICE_ATTR`` of an ITS."""

    group: int
    attr: int
    its: int = 0


@dataclass(frozen=True, slots=True)
class SignalMsi:
    """``KVM_SIGNAL_MSI``: what the device writes where, the device None without
    ``KVM_MSI_VALID_DEVID``. ``delivered`` is the answer that is expected, False where the guest
    blocks it, None for any."""

    address: int
    data: int
    device: int | None = None
    delivered: bool | None = None


MsiRoute: TypeAlias = tuple[int, int, int, int | None]
"""A gsi, and what :class:`SignalMsi` has: address, data and device."""


@dataclass(frozen=True, slots=True)
class SetGsiRouting:
    """``KVM_SET_GSI_ROUTING``: by gsi the pin of the vGIC, the SPI less 32, or an MSI. It replaces
    all that there were."""

    routes: tuple[tuple[int, int], ...]
    msis: tuple[MsiRoute, ...] = ()


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


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Keeps what KVM says of every vCPU, and guest memory: ``KVM_GET_REG_LIST``,
    ``KVM_GET_ONE_REG`` of each, ``KVM_GET_MP_STATE``, ``KVM_GET_VCPU_EVENTS``."""

    name: str


@dataclass(frozen=True, slots=True)
class RestoreSnapshot:
    """Gives vCPUs what was kept of them, in the order of the list.

    ``refused`` are the registers that KVM is to refuse, each with its errno.
    """

    name: str
    into: Into = "new_vm"
    refused: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SetCounterOffset:
    """``KVM_ARM_SET_COUNTER_OFFSET``: what is subtracted from the host's counter in both of the
    guest's."""

    offset: int
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class GetRegWritableMasks:
    """``KVM_ARM_GET_REG_WRITABLE_MASKS``: ``masks`` are those expected by the register's name, of
    all others 0, None for any; ``reserved`` is each word of that name."""

    masks: tuple[tuple[str, int], ...] | None = None
    range: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class CreateVm:
    """``KVM_CREATE_VM`` of another VM, which is closed at once; ``type`` is its argument."""

    type: int


@dataclass(frozen=True, slots=True)
class CreateVcpu:
    """``KVM_CREATE_VCPU`` with this number, beside those of the set-up."""

    vcpu: int


@dataclass(frozen=True, slots=True)
class CreateIrqchip:
    """``KVM_CREATE_IRQCHIP``: a vGICv2, as VMMs made it before KVM_CREATE_DEVICE."""


@dataclass(frozen=True, slots=True)
class EnableCap:
    """``KVM_ENABLE_CAP`` of the VM: the capability by its number, ``arg`` is args[0]."""

    cap: int
    flags: int = 0
    arg: int = 0


@dataclass(frozen=True, slots=True)
class GetRegister:
    """``KVM_GET_ONE_REG``: ``value`` is what is expected, None for any."""

    reg: str
    value: int | None = None


@dataclass(frozen=True, slots=True)
class AddIoeventfd:
    """``KVM_IOEVENTFD``, beside those of the set-up: ``len`` 0 takes any width, ``match`` None any
    value."""

    addr: int
    len: int
    match: int | None = None


@dataclass(frozen=True, slots=True)
class ReadIoeventfd:
    """The VMM reads the eventfd of the ioeventfd that was set up like this: ``count`` is how often
    it must have been signalled in all."""

    addr: int
    len: int
    match: int | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class AddCoalescedZone:
    """``KVM_REGISTER_COALESCED_MMIO``, beside those of the set-up."""

    addr: int
    size: int


@dataclass(frozen=True, slots=True)
class Ask:
    """An ioctl of :data:`vcpu_scenario.kvm.plainioctls.REQUESTS` by its name.

    ``arg`` is its argument, or its structure as a little-endian number. ``value`` is what is
    expected, None for any: what it returns, or the structure that it has filled. ``file`` is empty
    for the one that the ioctl is for.
    """

    request: str
    arg: int = 0
    value: int | None = None
    file: Literal["", "system", "vm"] = ""


Ioctl: TypeAlias = (
    SetMemoryRegion
    | SetHostMapping
    | DiscardMemory
    | GetUserfaults
    | GetDirtyLog
    | ClearDirtyLog
    | RemoveIoeventfd
    | RemoveCoalescedZone
    | EmptyRing
    | SetSmcccFilter
    | SetStealTime
    | CreateVgic
    | SetVgicAttr
    | GetVgicAttr
    | HasVgicAttr
    | CreateDevice
    | SetItsAttr
    | GetItsAttr
    | HasItsAttr
    | SignalMsi
    | SetGsiRouting
    | SetVcpuAttr
    | GetVcpuAttr
    | HasVcpuAttr
    | Irqfd
    | RemoveIrqfd
    | SignalIrqfd
    | ReadResamples
    | SetCounterOffset
    | GetRegWritableMasks
    | CreateVm
    | CreateVcpu
    | CreateIrqchip
    | EnableCap
    | GetRegister
    | AddIoeventfd
    | ReadIoeventfd
    | AddCoalescedZone
    | Ask
    | TakeSnapshot
    | RestoreSnapshot
)

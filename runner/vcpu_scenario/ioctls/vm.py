"""The VM and its vCPUs: made, asked, set up, saved and restored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

Into: TypeAlias = Literal["new_vm", "same_vm"]
"""Where the vCPUs are that a snapshot is restored into: new ones of a new VM, or those that there
are, after ``KVM_ARM_VCPU_INIT``."""


class CreateVm(Struct, frozen=True):
    """``KVM_CREATE_VM`` of another VM, which is closed at once; ``type`` is its argument."""

    type: int


class CreateVcpu(Struct, frozen=True):
    """``KVM_CREATE_VCPU`` with this number, beside those of the set-up."""

    vcpu: int


class CreateIrqchip(Struct, frozen=True):
    """``KVM_CREATE_IRQCHIP``: a vGICv2, as VMMs made it before KVM_CREATE_DEVICE."""


class EnableCap(Struct, frozen=True):
    """``KVM_ENABLE_CAP`` of the VM: the capability by its number, ``arg`` is args[0]."""

    cap: int
    flags: int = 0
    arg: int = 0


class SetSmcccFilter(Struct, frozen=True):
    """``KVM_ARM_VM_SMCCC_FILTER``: ``action`` is one of ``KVM_SMCCC_FILTER_*``, ``pad`` each byte
    of the padding."""

    base: int
    count: int
    action: int
    pad: int = 0


class SetStealTime(Struct, frozen=True):
    """``KVM_ARM_VCPU_PVTIME_IPA``: where the record of the stolen time is to be."""

    addr: int


class SetCounterOffset(Struct, frozen=True):
    """``KVM_ARM_SET_COUNTER_OFFSET``: what is subtracted from the host's counter in both of the
    guest's."""

    offset: int
    reserved: int = 0


class GetRegWritableMasks(Struct, frozen=True):
    """``KVM_ARM_GET_REG_WRITABLE_MASKS``: ``masks`` are those expected by the register's name, of
    all others 0, None for any; ``reserved`` is each word of that name."""

    masks: tuple[tuple[str, int], ...] | None = None
    range: int = 0
    reserved: int = 0


class GetRegister(Struct, frozen=True):
    """``KVM_GET_ONE_REG``: ``value`` is what is expected, None for any."""

    reg: str
    value: int | None = None


class Ask(Struct, frozen=True):
    """An ioctl of :data:`vcpu_scenario.kvm.plainioctls.REQUESTS` by its name.

    ``arg`` is its argument, or its structure as a little-endian number. ``value`` is what is
    expected, None for any: what it returns, or the structure that it has filled. ``file`` is empty
    for the one that the ioctl is for.
    """

    request: str
    arg: int = 0
    value: int | None = None
    file: Literal["", "system", "vm"] = ""


class TakeSnapshot(Struct, frozen=True):
    """Keeps what KVM says of every vCPU, and guest memory: ``KVM_GET_REG_LIST``,
    ``KVM_GET_ONE_REG`` of each, ``KVM_GET_MP_STATE``, ``KVM_GET_VCPU_EVENTS``."""

    name: str


class RestoreSnapshot(Struct, frozen=True):
    """Gives vCPUs what was kept of them, in the order of the list.

    ``refused`` are the registers that KVM is to refuse, each with its errno.
    """

    name: str
    into: Into = "new_vm"
    refused: tuple[tuple[str, int], ...] = ()


def has_new_vm(actions: Iterable[object]) -> bool:
    """Whether any of them restores a snapshot into a new VM."""
    return any(isinstance(one, RestoreSnapshot) and one.into == "new_vm" for one in actions)


VmIoctl: TypeAlias = (
    CreateVm
    | CreateVcpu
    | CreateIrqchip
    | EnableCap
    | SetSmcccFilter
    | SetStealTime
    | SetCounterOffset
    | GetRegWritableMasks
    | GetRegister
    | Ask
    | TakeSnapshot
    | RestoreSnapshot
)

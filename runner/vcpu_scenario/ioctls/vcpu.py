"""What is asked of a vCPU: guest debug, events, its state; and of its interrupt lines."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct


class Watchpoint(Struct, frozen=True):
    addr: int
    len: int
    type: Literal["r", "w", "rw"]


class GuestDebug(Struct, frozen=True):
    """``KVM_SET_GUEST_DEBUG``: ``control`` holds ``KVM_GUESTDBG_*`` flags."""

    control: int = 0
    hw_bp: tuple[int, ...] = ()
    watch: tuple[Watchpoint, ...] = ()


class SetGuestDebug(Struct, frozen=True):
    debug: GuestDebug


class SetIrqLine(Struct, frozen=True):
    """``KVM_IRQ_LINE``: ``irq`` as the ioctl takes it, type and number in one word."""

    irq: int
    level: int


class SetVcpuEvents(Struct, frozen=True):
    """``KVM_SET_VCPU_EVENTS``."""

    ext_dabt: bool = False
    serror: bool = False
    serror_esr: int | None = None


class SetMpState(Struct, frozen=True):
    state: int


class InitVcpu(Struct, frozen=True):
    """``KVM_ARM_VCPU_INIT`` again, with these features, or with those of the set-up where they
    are None: the vCPU is reset."""

    features: tuple[str, ...] | None = None
    target: int | None = None
    """``kvm_vcpu_init.target``; None for the host's preferred one."""
    bits: int = 0
    """Further bits of ``kvm_vcpu_init.features``, all words as one number."""


VcpuIoctl: TypeAlias = SetGuestDebug | SetIrqLine | SetVcpuEvents | SetMpState | InitVcpu

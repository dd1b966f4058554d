"""Ioeventfds and coalesced MMIO."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class AddIoeventfd(Struct, frozen=True):
    """``KVM_IOEVENTFD``, beside those of the set-up: ``len`` 0 takes any width, ``match`` None any
    value."""

    addr: int
    len: int
    match: int | None = None


class RemoveIoeventfd(Struct, frozen=True):
    """``KVM_IOEVENTFD`` with ``KVM_IOEVENTFD_FLAG_DEASSIGN``, of one that was set up like this."""

    addr: int
    len: int
    match: int | None = None


class ReadIoeventfd(Struct, frozen=True):
    """The VMM reads the eventfd of the ioeventfd that was set up like this: ``count`` is how often
    it must have been signalled in all."""

    addr: int
    len: int
    match: int | None = None
    count: int = 0


class AddCoalescedZone(Struct, frozen=True):
    """``KVM_REGISTER_COALESCED_MMIO``, beside those of the set-up."""

    addr: int
    size: int


class RemoveCoalescedZone(Struct, frozen=True):
    """``KVM_UNREGISTER_COALESCED_MMIO``."""

    addr: int
    size: int


class EmptyRing(Struct, frozen=True):
    """No ioctl: the VMM takes all entries out of the coalesced ring, whose next one is ``at``."""

    at: int


DoorbellIoctl: TypeAlias = (
    AddIoeventfd
    | RemoveIoeventfd
    | ReadIoeventfd
    | AddCoalescedZone
    | RemoveCoalescedZone
    | EmptyRing
)

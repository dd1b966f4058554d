"""KVM's devices, and what raises an interrupt."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct


class CreateVgic(Struct, frozen=True):
    """``KVM_CREATE_DEVICE`` of a vGIC of that version, and nothing more."""

    version: Literal[2, 3]


class CreateDevice(Struct, frozen=True):
    """``KVM_CREATE_DEVICE`` of a type by its number; ``test`` is ``KVM_CREATE_DEVICE_TEST``."""

    type: int
    test: bool = False


class SignalMsi(Struct, frozen=True):
    """``KVM_SIGNAL_MSI``: what the device writes where, the device None without
    ``KVM_MSI_VALID_DEVID``. ``delivered`` is the answer that is expected, False where the guest
    blocks it, None for any."""

    address: int
    data: int
    device: int | None = None
    delivered: bool | None = None


MsiRoute: TypeAlias = tuple[int, int, int, int | None]
"""A gsi, and what :class:`SignalMsi` has: address, data and device."""


class SetGsiRouting(Struct, frozen=True):
    """``KVM_SET_GSI_ROUTING``: by gsi the pin of the vGIC, the SPI less 32, or an MSI. It replaces
    all that there were."""

    routes: tuple[tuple[int, int], ...]
    msis: tuple[MsiRoute, ...] = ()


class Irqfd(Struct, frozen=True):
    """``KVM_IRQFD``: the eventfd that the VMM has for ``gsi`` raises it. One that is resampled
    tells the VMM by a second eventfd when the guest has ended the interrupt."""

    gsi: int
    resample: bool = False


class RemoveIrqfd(Struct, frozen=True):
    """``KVM_IRQFD`` with ``KVM_IRQFD_FLAG_DEASSIGN``."""

    gsi: int


class SignalIrqfd(Struct, frozen=True):
    """The VMM writes to the eventfd that it has for ``gsi``."""

    gsi: int


class ReadResamples(Struct, frozen=True):
    """The VMM reads the eventfd that resampling signals: ``count`` is how often it must have been
    signalled since it was read last, None for any."""

    gsi: int
    count: int | None = None


DeviceIoctl: TypeAlias = (
    CreateVgic
    | CreateDevice
    | SignalMsi
    | SetGsiRouting
    | Irqfd
    | RemoveIrqfd
    | SignalIrqfd
    | ReadResamples
)

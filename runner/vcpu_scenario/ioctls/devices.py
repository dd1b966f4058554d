"""KVM's devices, and what raises an interrupt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class CreateVgic:
    """``KVM_CREATE_DEVICE`` of a vGIC of that version, and nothing more."""

    version: Literal[2, 3]


@dataclass(frozen=True, slots=True)
class CreateDevice:
    """``KVM_CREATE_DEVICE`` of a type by its number; ``test`` is ``KVM_CREATE_DEVICE_TEST``."""

    type: int
    test: bool = False


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

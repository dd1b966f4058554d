"""``KVM_IRQFD``, and the eventfds that a VMM has for it: two for each gsi."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import time
from typing import Final

from vcpu_scenario.ioctls.devices import Irqfd, MsiRoute, SetGsiRouting
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call

_WHILE: Final = 0.005
"""Seconds for what the kernel leaves to a worker: it injects what is not injected at once."""


class Irqfds:
    """Those of one VM; ``resources`` closes the eventfds in the end."""

    def __init__(self, vm: int, resources: contextlib.ExitStack) -> None:
        self._vm: Final = vm
        self._resources: Final = resources
        self._eventfds: dict[int, tuple[int, int]] = {}
        self._resampled: set[int] = set()
        """The gsis of which the kernel tells when an interrupt has ended."""

    def add(self, irqfd: Irqfd) -> None:
        raises, resampled = self._of(irqfd.gsi)
        flags = uapi.KVM_IRQFD_FLAG_RESAMPLE if irqfd.resample else 0
        request = uapi.kvm_irqfd(fd=raises, gsi=irqfd.gsi, flags=flags, resamplefd=resampled)
        call(self._vm, uapi.KVM_IRQFD, request, "KVM_IRQFD")
        if irqfd.resample:
            self._resampled.add(irqfd.gsi)
        time.sleep(_WHILE)

    def route(self, asked: SetGsiRouting) -> None:
        pins = (
            uapi.kvm_irq_routing_entry(gsi=gsi, type=uapi.KVM_IRQ_ROUTING_IRQCHIP, pin=pin)
            for gsi, pin in asked.routes
        )
        entries = [bytes(entry) for entry in (*pins, *map(_msi_entry, asked.msis))]
        stored = bytes(uapi.kvm_irq_routing(nr=len(entries))) + b"".join(entries)
        request = (ctypes.c_uint8 * len(stored)).from_buffer_copy(stored)
        call(self._vm, uapi.KVM_SET_GSI_ROUTING, request, "KVM_SET_GSI_ROUTING")

    def remove(self, gsi: int) -> None:
        flags = uapi.KVM_IRQFD_FLAG_DEASSIGN
        request = uapi.kvm_irqfd(fd=self._of(gsi)[0], gsi=gsi, flags=flags)
        call(self._vm, uapi.KVM_IRQFD, request, "KVM_IRQFD deassign")

    def signal(self, gsi: int) -> None:
        os.eventfd_write(self._of(gsi)[0], 1)
        time.sleep(_WHILE)

    def resamples(self, gsi: int) -> int:
        if gsi not in self._resampled:
            raise KvmError(errno.EBADF, f"read of the resamplefd of gsi {gsi}")
        with contextlib.suppress(BlockingIOError):  # never signalled since it was last read
            return os.eventfd_read(self._of(gsi)[1])
        return 0

    def _of(self, gsi: int) -> tuple[int, int]:
        """The one that raises the interrupt, and the one that tells of its end."""
        if gsi not in self._eventfds:
            flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
            raises, resampled = (os.eventfd(0, flags) for _ in range(2))
            for fd in (raises, resampled):
                self._resources.callback(os.close, fd)
            self._eventfds[gsi] = raises, resampled
        return self._eventfds[gsi]


def _msi_entry(route: MsiRoute) -> uapi.kvm_irq_routing_msi_entry:
    gsi, address, data, device = route
    return uapi.kvm_irq_routing_msi_entry(
        gsi=gsi,
        type=uapi.KVM_IRQ_ROUTING_MSI,
        flags=0 if device is None else uapi.KVM_MSI_VALID_DEVID,
        address_lo=address & 0xFFFF_FFFF,
        address_hi=address >> 32,
        data=data,
        devid=device or 0,
    )

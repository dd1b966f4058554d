"""What can be chosen about a lab."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class LabOptions(Struct, frozen=True):
    """How QEMU is run and how long things may take.

    ``cpu``, ``memory`` (MiB) and ``qemu`` are QEMU's; ``append`` goes to the kernel's command
    line, ``extra`` to QEMU's. ``kernel_image`` is booted in place of a fetched kernel; ``initrd``
    is an initramfs of your own with ``/usr/bin/python3`` (3.11 or newer), in place of Debian's.
    ``mirror`` is the Debian mirror for what was not fetched yet. A boot may take
    ``boot_seconds`` and a case ``case_seconds`` beyond the time its own limits allow, of which at
    most 600 count.
    ``nice`` is added to QEMU's niceness.

    ``icount`` makes the guest's clock count instructions, each ``1 << icount`` ns, so that a time
    limit cuts a run off at the same place however busy the host is; None takes the host's clock.
    """

    cpu: str = "cortex-a57"
    memory: int = 512
    qemu: str = "qemu-system-aarch64"
    append: str = ""
    extra: tuple[str, ...] = ()
    kernel_image: Path | None = None
    initrd: Path | None = None
    mirror: str | None = None
    boot_seconds: float = 180.0
    case_seconds: float = 60.0
    nice: int = 0
    icount: int | None = 3

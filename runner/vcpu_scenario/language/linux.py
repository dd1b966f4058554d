"""``guest: {linux: ...}``: a Linux kernel as a boot loader would start it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from vcpu_scenario.assembly.kallsyms import kernel_symbols
from vcpu_scenario.assembly.kernelimage import ALIGNMENT, read_image
from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Device, Gic, Load, Memslot
from vcpu_scenario.host.reading import Unreadable, read_regular
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.nodes import Map, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted

DEFAULT_MEMORY: Final = 128 << 20
_OF_DEBIAN: Final = re.compile(r"debian:(.+)")
_MAX_IMAGE: Final = 256 << 20


class Linux(NamedTuple):
    """A kernel in memory, to which a device tree at ``tree`` is still to be added."""

    loads: tuple[Load, ...]
    symbols: dict[str, int]
    entry: int
    tree: int
    cmdline: str
    initrd: tuple[int, int] | None

    def with_tree(
        self, slots: list[Memslot], gic: Gic | None, devices: list[Device], *, psci: bool
    ) -> Load:
        """The device tree of what is around it."""
        from vcpu_scenario.assembly.devicetree import Boot, device_tree

        boot = Boot(self.cmdline, self.initrd)
        return Load(self.tree, device_tree(boot, slots, gic, devices, psci=psci))


class Missing(Exception):
    """The kernel of a distribution is not here: with what to do."""


def read_linux(node: Map, base: int, scope: Scope, folder: Folder) -> Linux | None:
    """The kernel that ``node`` describes, in memory that begins at ``base``: the image, a place
    for the device tree, the initrd. None, and a report, if it cannot be had.

    Raises :class:`Missing` for one of a distribution that was never fetched.
    """
    image, initrd, cmdline = node.get("image"), node.get("initrd"), node.get("cmdline")
    assert isinstance(image, Scalar)
    if base % ALIGNMENT:
        scope.problems.add(
            "Linux's memory is not aligned",
            node.span,
            found=f"{base:#x}",
            expected="`at` a multiple of 2MiB",
        )
        return None
    data = _image(image, folder)
    ramdisk = folder.read(initrd) if isinstance(initrd, Scalar) else b""
    if data is None or ramdisk is None:
        return None
    try:
        header = read_image(data)
    except NotAGuest as fault:
        scope.problems.add(f"{quoted(image.text)} is no kernel: {fault}", image.span)
        return None
    entry = base + header.text_offset
    tree = -(-(entry + header.size) // ALIGNMENT) * ALIGNMENT
    loads, place = [Load(entry, data)], None
    if ramdisk:
        start = tree + ALIGNMENT
        loads.append(Load(start, ramdisk))
        place = start, start + len(ramdisk)
    text = cmdline.text if isinstance(cmdline, Scalar) else ""
    return Linux(tuple(loads), kernel_symbols(data), entry, tree, text, place)


def _image(name: Scalar, folder: Folder) -> bytes | None:
    found = _OF_DEBIAN.fullmatch(name.text)
    if found is None:
        return folder.read(name)
    from vcpu_scenario.machine.real.lab import kernels
    from vcpu_scenario.machine.real.lab.errors import LabError

    try:
        return read_regular(kernels.path(found[1]).image, _MAX_IMAGE)
    except (LabError, Unreadable) as fault:
        raise Missing(str(fault)) from None

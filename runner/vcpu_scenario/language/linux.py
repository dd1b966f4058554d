"""``guest: {linux: ...}``: a Linux kernel as a boot loader would start it."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Device, Gic, Load, Memslot
from vcpu_scenario.host.reading import Unreadable, read_regular
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.nodes import Map, Node, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted

DEFAULT_MEMORY: Final = 128 << 20
_DEBIAN: Final = "debian:"
_RELEASE: Final = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
_MAX_IMAGE: Final = 256 << 20
_MAX_CMDLINE: Final = 2047
"""Characters that Linux keeps of it (``COMMAND_LINE_SIZE`` of arm64)."""
_START: Final = "_text"
"""The image's first byte, by its virtual address."""


class Linux(NamedTuple):
    """A kernel in memory, to which a device tree at ``tree`` is still to be added."""

    loads: tuple[Load, ...]
    symbols: dict[str, int]
    entry: int
    tree: int
    cmdline: str
    initrd: tuple[int, int] | None

    def with_tree(
        self,
        slots: list[Memslot],
        gic: Gic | None,
        devices: list[Device],
        *,
        psci: bool,
        vcpus: int,
    ) -> Load:
        """The device tree of what is around it."""
        from vcpu_scenario.assembly.devicetree import Boot, device_tree

        boot = Boot(self.cmdline, self.initrd, vcpus)
        return Load(self.tree, device_tree(boot, slots, gic, devices, psci=psci))


class Missing(Exception):
    """The kernel of a distribution is not here: with what to do."""


def read_linux(node: Map, base: int, scope: Scope, folder: Folder) -> Linux | None:
    """The kernel that ``node`` describes, in memory that begins at ``base``: the image, a place
    for the device tree, the initrd. None, and a report, if it cannot be had.

    Raises :class:`Missing` for one of a distribution that was never fetched.
    """
    image, initrd = node.get("image"), node.get("initrd")
    assert isinstance(image, Scalar)
    # Here, since next to no scenario has one.
    from vcpu_scenario.assembly.kallsyms import kernel_symbols
    from vcpu_scenario.assembly.kernelimage import ALIGNMENT, read_image

    cmdline = _cmdline(node.get("cmdline"), scope)
    if base % ALIGNMENT:
        scope.problems.add(
            "Linux's memory is not aligned",
            node.span,
            found=f"{base:#x}",
            expected="`at` a multiple of 2MiB",
        )
        return None
    data = _image(image, scope, folder)
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
    symbols = kernel_symbols(data)
    loads, place = [Load(entry, data, symbols.get(_START))], None
    if ramdisk:
        start = tree + ALIGNMENT
        loads.append(Load(start, ramdisk))
        place = start, start + len(ramdisk)
    return Linux(tuple(loads), symbols, entry, tree, cmdline, place)


def _cmdline(node: Node | None, scope: Scope) -> str:
    if not isinstance(node, Scalar):
        return ""
    text = node.text
    if len(text) <= _MAX_CMDLINE and text.isascii() and text.isprintable():
        return text
    scope.problems.add(
        "no command line for Linux",
        node.span,
        found=quoted(text),
        expected=f"at most {_MAX_CMDLINE:,} printable characters of ASCII, in one line",
    )
    return ""


def _image(name: Scalar, scope: Scope, folder: Folder) -> bytes | None:
    if not name.text.startswith(_DEBIAN):
        return folder.read(name)
    release = name.text.removeprefix(_DEBIAN)
    if not _RELEASE.fullmatch(release):
        scope.problems.add(
            "no release of Linux",
            name.span,
            found=quoted(name.text),
            expected="debian:6.12 or debian:6.12.107",
        )
        return None
    from vcpu_scenario.machine.real.lab import kernels
    from vcpu_scenario.machine.real.lab.errors import LabError

    try:
        return _kept(kernels.path(release).image)
    except (LabError, Unreadable) as fault:
        raise Missing(str(fault)) from None


@lru_cache(maxsize=2)
def _kept(image: Path) -> bytes:
    """A kernel of the lab; once for all combinations of a matrix."""
    return read_regular(image, _MAX_IMAGE)

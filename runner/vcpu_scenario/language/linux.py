"""``guest: {linux: ...}``: a Linux kernel as a boot loader would start it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Action, Device, Gic, Load, Memslot
from vcpu_scenario.ioctls.attributes import Holder, SetDeviceAttr
from vcpu_scenario.kvm.vcpuattrs import KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ
from vcpu_scenario.kvm.vgicattrs import KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.nodes import Map, Node, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted

DEFAULT_MEMORY: Final = 128 << 20
_MAX_CMDLINE: Final = 2047
"""Characters that Linux keeps of it (``COMMAND_LINE_SIZE`` of arm64)."""
_PLACE_OF_ITS: Final = "its", KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE
_PMU_IRQ: Final = "vcpu", KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ
_PPIS: Final = range(16, 32)
_START: Final = "_text"
"""The image's first byte, by its virtual address, which is that of no function: kernels without
CONFIG_KALLSYMS_ALL have no symbol for it."""


class Tree(NamedTuple):
    """Where a device tree is to be, and what it tells beside the VM."""

    at: int
    cmdline: str = ""
    initrd: tuple[int, int] | None = None

    def of(
        self,
        slots: list[Memslot],
        gic: Gic | None,
        devices: list[Device],
        *,
        psci: bool,
        vcpus: int,
        asked: Iterable[Action],
    ) -> Load:
        """The device tree of what is around it, and of what the VMM has ``asked`` for beside it
        before the guest runs: ITSs by their addresses, a PMU by its interrupt."""
        from vcpu_scenario.assembly.devicetree import Boot, device_tree

        attributes = [action for action in asked if isinstance(action, SetDeviceAttr)]
        itses = list(_values(attributes, _PLACE_OF_ITS))
        ppi = next(
            (irq - _PPIS.start for irq in _values(attributes, _PMU_IRQ) if irq in _PPIS), None
        )
        boot = Boot(self.cmdline, self.initrd, vcpus, itses, ppi)
        return Load(self.at, device_tree(boot, slots, gic, devices, psci=psci))


def _values(
    attributes: Iterable[SetDeviceAttr], wanted: tuple[Holder, int, int]
) -> dict[int, None]:
    """What an attribute was set to, each value once and in order."""
    return {
        action.value: None
        for action in attributes
        if (action.which.of, action.which.group, action.which.attr) == wanted
        and action.value is not None
    }


class Linux(NamedTuple):
    """A kernel in memory, without the device tree that it needs."""

    loads: tuple[Load, ...]
    symbols: dict[str, int]
    entry: int
    tree: Tree


def read_linux(node: Map, base: int, scope: Scope, folder: Folder) -> Linux | None:
    """The kernel that ``node`` describes, in memory that begins at ``base``: the image, a place
    for the device tree, the initrd. None if it cannot be had.
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
    data = folder.read(image)
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
    runs_at = symbols.get(_START, min(symbols.values(), default=0) & -ALIGNMENT) or None
    loads, place = [Load(entry, data, runs_at)], None
    if ramdisk:
        start = tree + ALIGNMENT
        loads.append(Load(start, ramdisk))
        place = start, start + len(ramdisk)
    return Linux(tuple(loads), symbols, entry, Tree(tree, cmdline, place))


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

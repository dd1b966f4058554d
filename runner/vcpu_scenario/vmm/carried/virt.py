"""What of a case QEMU's machine ``virt`` has, and QEMU's command line for it.

Addresses are those of ``hw/arm/virt.c`` (``base_memmap``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from vcpu_scenario.actions import words
from vcpu_scenario.case import Case, Device, Gic, Load, Memslot, SetRegister, WriteMemory
from vcpu_scenario.vmm.process import LEFT_OUT

RAM: Final = 0x4000_0000
_MOST_RAM: Final = 0x1000_0000
"""Bytes: the guest of the lab that QEMU runs in has 1 GiB."""
_PAGE: Final = 0x1_0000
"""What RAM is a multiple of, so that any page size of the host will do."""

_GICV2: Final = Gic(2, 0x0800_0000, cpu=0x0801_0000)
_GICV3: Final = Gic(3, 0x0800_0000, redist=0x080A_0000)
_PL011: Final = 0x0900_0000
_PL011_SPI: Final = 33

_TAKEN: Final = (
    (0, 0x0800_0000, "flash"),
    (0x0800_0000, 0x0100_0000, "the interrupt controller"),
    (0x0901_0000, 0x1000, "the PL031"),
    (0x0902_0000, 0x18, "fw_cfg"),
    (0x0903_0000, 0x1000, "the PL061"),
    (0x0A00_0000, 0x4000, "virtio-mmio"),
    (0x0C00_0000, 0x0200_0000, "the platform bus"),
    (0x1000_0000, 0x3000_0000, "PCI"),
)
"""(address, bytes, what is there). What is nowhere here reads as 0 and takes any write."""

PL011: Final = {
    0x18: 0x90,
    0x30: 0x300,
    0x34: 0x12,
    **{0xFE0 + 4 * n: part for n, part in enumerate((0x11, 0x10, 0x14, 0, 0x0D, 0xF0, 5, 0xB1))},
}
"""What the registers of QEMU's PL011 hold at first; the others hold 0 (``hw/char/pl011.c``)."""

_BY_DEBUGGER: Final = frozenset({*(f"x{n}" for n in range(31)), "sp", "pc", "pstate"})
"""The registers that QEMU's gdbstub writes."""


def beyond(case: Case) -> str:
    """Why QEMU's machine cannot be what ``case`` says, empty where it can."""
    return next(filter(None, (why for question in _QUESTIONS for why in question(case))), "")


def ram(case: Case) -> int:
    """Bytes of RAM, which is all from 0x40000000 on."""
    end = max(slot.base + slot.size for slot in case.slots)
    return -(-(end - RAM) // _PAGE) * _PAGE


def arguments(case: Case, kernel: str, gdb: str, serial: str) -> list[str]:
    """QEMU's; ``kernel``, ``gdb`` and ``serial`` are paths: the image, a socket that QEMU makes,
    and where it writes what the guest sends."""
    return [
        *("-accel", "kvm", "-M", "virt,gic-version=host", "-cpu", "host"),
        *("-m", f"{ram(case) >> 10}k", "-nodefaults", "-display", "none", "-net", "none"),
        *("-serial", f"file:{serial}", "-S", "-gdb", f"unix:{gdb},server=on,wait=off"),
        *("-kernel", kernel),
    ]


def _vm(case: Case) -> Iterator[str]:
    if case.missing:
        yield case.missing
    if case.several:
        yield "several vCPUs: a debugger is for one here"
    if not case.psci_0_2:
        yield "psci_0_2 off: QEMU always asks for it"
    yield from (f"{name}: QEMU's -cpu host asks for no such feature" for name in case.features)
    for cap in case.caps:
        if cap != "arm_nisv_to_user":
            yield f"{cap}: QEMU does not enable it"
    if case.ioeventfds:
        yield "an ioeventfd: QEMU's virt has none there"
    if case.coalesced:
        yield "a coalesced zone: QEMU's virt has none there"
    if case.gic not in (None, _GICV2, _GICV3):
        yield "a GIC at other addresses than virt's, 0x8000000 and 0x80a0000 or 0x8010000"


def _memory(case: Case) -> Iterator[str]:
    for slot in case.slots:
        if slot.readonly:
            yield f"read-only memory at {slot.base:#x}: virt has none but its flash"
        if slot.base < RAM:
            yield f"memory at {slot.base:#x}: virt's RAM begins at {RAM:#x}"
    if case.slots and ram(case) > _MOST_RAM:
        yield f"memory beyond {RAM + _MOST_RAM:#x}: the lab's guest has not as much"
    yield from (
        f"no memory at {load.addr:#x}, where something is loaded"
        for load in case.loads
        if not any(_within(load, slot) for slot in case.slots)
    )


def _within(load: Load, slot: Memslot) -> bool:
    return slot.base <= load.addr and load.addr + len(load.data) <= slot.base + slot.size


def _devices(case: Case) -> Iterator[str]:
    for device in case.devices:
        if device.base == _PL011 and device.size <= 0x1000:
            yield from _other_values(device, PL011, "QEMU's PL011")
            if device.input or device.typed:
                yield f"{device.name}: nobody types into QEMU's PL011"
            if device.spi not in (None, _PL011_SPI):
                yield f"{device.name}: the interrupt of QEMU's PL011 is {_PL011_SPI}"
            continue
        end = device.base + device.size
        if device.base < RAM + ram(case) and end > RAM:
            yield f"{device.name}: at {device.base:#x} virt has RAM"
        for base, size, what in _TAKEN:
            if device.base < base + size and end > base:
                yield f"{device.name}: at {device.base:#x} virt has {what}"
        yield from _other_values(device, {}, "nothing of virt's, which")


def _other_values(device: Device, there: dict[int, int], what: str) -> Iterator[str]:
    wanted = dict(device.registers) | {offset: values[0] for offset, values in device.replies}
    for offset, value in wanted.items():
        if there.get(offset, 0) != value:
            found = there.get(offset, 0)
            yield f"{device.name}+{offset:#x} is to read {value:#x}, and {what} reads {found:#x}"
    if any(len(set(values)) > 1 for _, values in device.replies):
        yield f"{device.name} replies one thing after another, and {what} does not"


def _registers(case: Case) -> Iterator[str]:
    named = [name for name, _ in case.regs]
    named += [act.reg for act in case.before if isinstance(act, SetRegister)]
    for name in named:
        if name not in _BY_DEBUGGER:
            yield f"{name} is set, and QEMU's gdbstub writes x0 to x30, sp, pc and cpsr alone"


def _actions(case: Case) -> Iterator[str]:
    for action in case.before:
        if not isinstance(action, (*LEFT_OUT, SetRegister, WriteMemory)):
            yield f"{words(action, hex)}: a debugger cannot have QEMU do it"


_QUESTIONS: Final[tuple[Callable[[Case], Iterator[str]], ...]] = (
    _vm,
    _memory,
    _devices,
    _registers,
    _actions,
)

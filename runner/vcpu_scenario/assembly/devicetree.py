"""The device tree of a guest: what its VM has, as Linux's bindings name it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

import fdt
from msgspec import Struct

from vcpu_scenario.case import Device, Gic, Memslot
from vcpu_scenario.kvm.abi import FIRST_SPI

_GIC_PHANDLE: Final = 1
_CLOCK_PHANDLE: Final = 2
_UART_CLOCK: Final = 24_000_000
_FIRST_UART_SPI: Final = 33
"""Of UARTs that do not say which: they have QEMU's and those behind it."""
_PPI, _SPI = 1, 0
_LEVEL_LOW, _LEVEL_HIGH = 8, 4
_TIMER_PPIS: Final = (13, 14, 11, 10)
"""Secure and not secure physical, virtual, of the hypervisor."""
_DISTRIBUTOR: Final = {2: 0x1000, 3: 0x1_0000}
_REDISTRIBUTOR: Final = 0x2_0000
_CPU_INTERFACE: Final = 0x2000
_ITS: Final = 0x2_0000


class Boot(Struct, frozen=True):
    """What a boot loader hands over: the command line, of printable ASCII, and where the initrd
    is, its first address and the one behind it; where each ITS is, and which PPI is the PMU's."""

    cmdline: str = ""
    initrd: tuple[int, int] | None = None
    vcpus: int = 1
    itses: Sequence[int] = ()
    pmu: int | None = None


def device_tree(
    boot: Boot, slots: Sequence[Memslot], gic: Gic | None, devices: Sequence[Device], *, psci: bool
) -> bytes:
    """The flattened device tree of the vCPUs with that memory and those devices."""
    tree = _Tree()
    tree.set("", "#address-cells", 2)
    tree.set("", "#size-cells", 2)
    tree.set("", "compatible", "linux,dummy-virt")
    if boot.cmdline:
        tree.set("chosen", "bootargs", boot.cmdline)
    if boot.initrd is not None:
        tree.set("chosen", "linux,initrd-start", *_wide(boot.initrd[0]))
        tree.set("chosen", "linux,initrd-end", *_wide(boot.initrd[1]))
    for slot in slots:
        if not slot.readonly:
            tree.region("memory", slot.base, slot.size, device_type="memory")
    _cpus(tree, boot.vcpus, psci=psci)
    if gic is not None:
        _interrupts(tree, gic, boot)
    _uarts(tree, [device for device in devices if device.model == "pl011"])
    for device in devices:
        if device.model == "cfi-flash":
            flash = tree.region("flash", device.base, device.size, compatible="cfi-flash")
            tree.set(flash, "bank-width", 4)
    return tree.blob()


class _Tree:
    """A tree that is written property by property."""

    def __init__(self) -> None:
        self._tree = fdt.FDT()

    def set(self, path: str, name: str, *values: int | str) -> None:
        """A property of cells or of strings; of no value where there are none."""
        if values:
            value = values[0] if len(values) == 1 else list(values)
            self._tree.set_property(name, value, path, create=True)
        else:
            self._tree.get_node(path).append(fdt.Property(name))

    def region(self, name: str, base: int, size: int, **properties: str) -> str:
        """A node with registers; its path."""
        path = f"{name}@{base:x}"
        self.set(path, "reg", *_wide(base), *_wide(size))
        for key, value in properties.items():
            self.set(path, key, value)
        return path

    def blob(self) -> bytes:
        return bytes(self._tree.to_dtb(version=17))


def _wide(value: int) -> tuple[int, int]:
    """Two cells."""
    return value >> 32, value & 0xFFFF_FFFF


def _cpus(tree: _Tree, count: int, *, psci: bool) -> None:
    tree.set("cpus", "#address-cells", 1)
    tree.set("cpus", "#size-cells", 0)
    for number in range(count):  # up to 16 are one cluster
        cpu = f"cpus/cpu@{number:x}"
        tree.set(cpu, "device_type", "cpu")
        tree.set(cpu, "compatible", "arm,cortex-a57")
        tree.set(cpu, "reg", number)
        if psci:
            tree.set(cpu, "enable-method", "psci")
    if psci:
        tree.set("psci", "compatible", "arm,psci-1.0", "arm,psci-0.2")
        tree.set("psci", "method", "hvc")


def _interrupts(tree: _Tree, gic: Gic, boot: Boot) -> None:
    tree.set("", "interrupt-parent", _GIC_PHANDLE)
    other, size = gic.cpu, _CPU_INTERFACE
    if gic.version == 3:
        other, size = gic.redist, boot.vcpus * _REDISTRIBUTOR
    path = f"intc@{gic.dist:x}"
    distributor = _DISTRIBUTOR[gic.version]
    tree.set(path, "compatible", "arm,gic-v3" if gic.version == 3 else "arm,cortex-a15-gic")
    tree.set(path, "reg", *_wide(gic.dist), *_wide(distributor), *_wide(other), *_wide(size))
    tree.set(path, "#interrupt-cells", 3)
    tree.set(path, "interrupt-controller")
    tree.set(path, "phandle", _GIC_PHANDLE)
    if boot.itses:
        tree.set(path, "#address-cells", 2)
        tree.set(path, "#size-cells", 2)
        tree.set(path, "ranges")
    for base in boot.itses:
        its = tree.region(f"{path}/its", base, _ITS, compatible="arm,gic-v3-its")
        tree.set(its, "msi-controller")
        tree.set(its, "#msi-cells", 1)
    # A GICv2's private interrupts say at which CPUs they arrive.
    cpus = 0 if gic.version == 3 else (1 << boot.vcpus) - 1 << 8
    timers = (n for ppi in _TIMER_PPIS for n in (_PPI, ppi, _LEVEL_LOW | cpus))
    tree.set("timer", "compatible", "arm,armv8-timer")
    tree.set("timer", "interrupts", *timers)
    tree.set("timer", "always-on")
    if boot.pmu is not None:
        tree.set("pmu", "compatible", "arm,armv8-pmuv3")
        tree.set("pmu", "interrupts", _PPI, boot.pmu, _LEVEL_HIGH | cpus)


def _uarts(tree: _Tree, uarts: Sequence[Device]) -> None:
    if not uarts:
        return
    tree.set("clock", "compatible", "fixed-clock")
    tree.set("clock", "#clock-cells", 0)
    tree.set("clock", "clock-frequency", _UART_CLOCK)
    tree.set("clock", "phandle", _CLOCK_PHANDLE)
    taken = {uart.spi for uart in uarts}
    free = (spi for spi in count(_FIRST_UART_SPI) if spi not in taken)
    for number, uart in enumerate(uarts):
        path = tree.region("pl011", uart.base, uart.size)
        tree.set(path, "compatible", "arm,pl011", "arm,primecell")
        spi = next(free) if uart.spi is None else uart.spi
        tree.set(path, "interrupts", _SPI, spi - FIRST_SPI, _LEVEL_HIGH)
        tree.set(path, "clocks", _CLOCK_PHANDLE, _CLOCK_PHANDLE)
        tree.set(path, "clock-names", "uartclk", "apb_pclk")
        tree.set("aliases", f"serial{number}", f"/{path}")
    tree.set("chosen", "stdout-path", "serial0")

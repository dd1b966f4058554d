"""The devices around the guest: those of userspace, and those that the kernel handles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from vcpu_scenario.actions.doorbells import read_datamatch
from vcpu_scenario.arm64.mmioregisters import (
    BY_MODEL,
    VIRTIO_MMIO,
    VIRTIO_MMIO_MAGIC,
    cpu_interface,
    redistributor,
)
from vcpu_scenario.arm64.mmioregisters import distributor as distributor_registers
from vcpu_scenario.case import CoalescedZone, Device, Gic, Ioeventfd
from vcpu_scenario.expectation import Typing
from vcpu_scenario.kvm.abi import FIRST_SPI
from vcpu_scenario.language.memory import Region
from vcpu_scenario.language.nodes import Map, Node, Scalar, items_of
from vcpu_scenario.language.offsets import (
    Places,
    check_bytes,
    read_replies,
    read_values,
    shown_instead,
)
from vcpu_scenario.language.scope import IPA_LIMIT, Scope
from vcpu_scenario.source import quoted
from vcpu_scenario.vmm.pl011 import computed
from vcpu_scenario.vmm.setup import NR_IRQS

DEFAULT_SIZE: Final = 0x1000

_IDENTITY: Final = {
    VIRTIO_MMIO["MAGIC_VALUE"]: VIRTIO_MMIO_MAGIC,
    VIRTIO_MMIO["VERSION"]: 2,
}


class Devices(Struct):
    """What a case needs of its devices, and where they are."""

    userspace: list[Device] = field(default_factory=list)
    gic: Gic | None = None
    ioeventfds: dict[str, Ioeventfd] = field(default_factory=dict)
    coalesced: list[CoalescedZone] = field(default_factory=list)
    addresses: dict[str, int] = field(default_factory=dict)
    registers: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """The addresses of registers that have a name, by device."""
    regions: list[Region] = field(default_factory=list)
    typing: list[Typing] = field(default_factory=list)


class _Entry(NamedTuple):
    """One entry of ``devices:`` as its model reads it."""

    name: Scalar
    node: Map
    scope: Scope
    found: Devices
    reports: int
    """How many faults were reported before this entry was looked at."""

    def number(self, key: str, default: int = 0, high: int = IPA_LIMIT - 1) -> int:
        node = self.node.get(key)
        low = 1 if key == "size" else 0
        return default if node is None else self.scope.number(node, low=low, high=high)

    def region(self, kind: str, key: str, size: int) -> int:
        """Takes the address under ``key`` and notes the region; returns the address.

        A region in which anything is wrong is not noted, so that it overlaps no other by mistake.
        """
        low = self.number(key)
        at = self.node.get(key)
        span = at.span if at is not None else self.name.span
        if low + size > IPA_LIMIT:
            self.scope.problems.add(
                "beyond the guest's physical address space",
                span,
                found=f"an end at {low + size:#x}",
                expected=f"at most {IPA_LIMIT:#x}, 40 bits",
            )
        if self.scope.problems.reports == self.reports:
            name = f"the device {quoted(self.name.text)}"
            self.found.regions.append(Region(kind, name, low, low + size, span))
        self.found.addresses.setdefault(self.name.text, low)
        return low


class _Model(NamedTuple):
    handled_by: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[_Entry, str], None]


def read_devices(devices: Node | None, scope: Scope) -> Devices:
    """The devices that the mapping ``devices`` describes."""
    found = Devices()
    if not isinstance(devices, Map):
        return found
    for key, node in devices.entries:
        if isinstance(node, Map):
            _read(_Entry(key, node, scope, found, scope.problems.reports))
    _check_distinct(devices, found, scope)
    _check_interrupts(devices, found, scope)
    return found


def _read(entry: _Entry) -> None:
    handled_by, model_node = entry.node.get("handled_by"), entry.node.get("model")
    assert isinstance(handled_by, Scalar)
    default = "registers" if handled_by.text == "userspace" else ""
    name = model_node.text if isinstance(model_node, Scalar) else default
    if model_node is None and entry.node.faulty:
        entry.scope.complete = False
        return
    model = _MODELS.get(name)
    if model is None or model.handled_by != handled_by.text:
        choices = [key for key, value in _MODELS.items() if value.handled_by == handled_by.text]
        entry.scope.problems.add(
            f"{handled_by.text} has no model {quoted(name)}" if name else "a model is missing",
            entry.name.span if model_node is None else model_node.span,
            expected=", ".join(choices),
            near=(name, choices),
        )
        entry.scope.complete = False
        return
    if _keys_fit(entry, name, model):
        model.read(entry, name)
    else:
        entry.scope.complete = False


def _keys_fit(entry: _Entry, name: str, model: _Model) -> bool:
    problems = entry.scope.problems
    known = (*model.required, *model.optional)
    for key, _ in entry.node.entries:
        if key.text not in (*known, "handled_by", "model"):
            problems.add(
                f"a device of model {quoted(name)} has no {quoted(key.text)}",
                key.span,
                expected=", ".join(known),
            )
    missing = [key for key in model.required if entry.node.get(key) is None]
    for absent in missing if not entry.node.faulty else ():
        problems.add(
            f"a device of model {quoted(name)} needs {quoted(absent)}",
            entry.name.span,
            expected=f"a key {quoted(absent)}",
        )
    return not missing


def _userspace(entry: _Entry, model: str) -> None:
    size = entry.number("size", DEFAULT_SIZE, IPA_LIMIT)
    base = entry.region("userspace", "at", size)
    text, spi = entry.node.get("input"), _spi(entry)
    places = Places(entry.name.text, size, BY_MODEL.get(model, {}), entry.scope)
    entry.found.registers[entry.name.text] = _from(base, places.names)
    replies = read_replies(entry.node.get("replies"), places)
    hidden = computed(interrupt=spi is not None) if model == "pl011" else shown_instead(replies)
    registers = read_values(entry.node.get("registers"), places, hidden)
    if model in ("registers", "virtio-mmio") and entry.scope.problems.reports == entry.reports:
        check_bytes(registers, places)
    values = {offset: value for offset, value, _ in registers}
    if model == "virtio-mmio":
        # To a driver that only probes it, a transport is registers that keep what is written.
        values, model = _IDENTITY | values, "registers"
    entry.found.userspace.append(
        Device(
            entry.name.text,
            base,
            size,
            model,
            tuple(values.items()),
            replies,
            text.text.encode() if isinstance(text, Scalar) else b"",
            entry.scope.flag(entry.node.get("console")),
            _typed(entry),
            spi,
        )
    )


def _typed(entry: _Entry) -> tuple[tuple[bytes, bytes], ...]:
    found = [
        (Typing(entry.name.text, after.text.encode(), item.span), text.text.encode())
        for item in items_of(entry.node.get("typed"))
        if isinstance(item, Map)
        and isinstance(after := item.get("after"), Scalar)
        and isinstance(text := item.get("text"), Scalar)
    ]
    entry.found.typing += [typing for typing, _ in found]
    return tuple((typing.after, text) for typing, text in found)


def _spi(entry: _Entry) -> int | None:
    node = entry.node.get("spi")
    return None if node is None else entry.scope.number(node, low=FIRST_SPI, high=NR_IRQS - 1)


def _from(base: int, offsets: Mapping[str, int]) -> dict[str, int]:
    return {name: base + offset for name, offset in offsets.items()}


_DISTRIBUTOR: Final = {2: 0x1000, 3: 0x1_0000}
_REDISTRIBUTOR: Final = 0x2_0000
_CPU_INTERFACE: Final = 0x2000


def _vgic(version: Literal[2, 3], other: str, size: int) -> Callable[[_Entry, str], None]:
    def read(entry: _Entry, model: str) -> None:
        distributor = entry.region("vgic", "distributor", _DISTRIBUTOR[version])
        second = entry.region("vgic", other, size)
        if entry.found.gic is not None:
            entry.scope.problems.add("a VM has one interrupt controller", entry.name.span)
        if version == 3:
            entry.found.gic = Gic(3, distributor, redist=second)
        else:
            entry.found.gic = Gic(2, distributor, cpu=second)
        entry.found.registers[entry.name.text] = _registers_of(version, distributor, second)

    return read


# Most scenarios have their controller at the same place, and it has hundreds of registers.
@lru_cache(maxsize=16)
def _registers_of(version: Literal[2, 3], distributor: int, second: int) -> Mapping[str, int]:
    others = redistributor() if version == 3 else cpu_interface()
    found = _from(distributor, distributor_registers(version)) | _from(second, others)
    return MappingProxyType(found)


def _ioeventfd(entry: _Entry, model: str) -> None:
    length = entry.number("len")
    node = entry.node.get("len")
    if length not in (0, 1, 2, 4, 8) and node is not None:
        entry.scope.problems.add(
            "no access has this width", node.span, found=str(length), expected="0, 1, 2, 4 or 8"
        )
    match = entry.node.get("match")
    if match is not None and node is not None and length == 0:
        entry.scope.problems.add(
            "an ioeventfd of any width matches any value",
            match.span,
            expected="`match` only with `len` 1, 2, 4 or 8",
        )
    addr = entry.region("kernel bus", "at", max(length, 1))
    datamatch = read_datamatch(match, length, entry.scope)
    entry.found.ioeventfds[entry.name.text] = Ioeventfd(addr, length, datamatch)


def _coalesced(entry: _Entry, model: str) -> None:
    size = entry.number("size", DEFAULT_SIZE, (1 << 32) - 1)
    entry.found.coalesced.append(CoalescedZone(entry.region("kernel bus", "at", size), size))


_MODELS: Final[Mapping[str, _Model]] = {
    "registers": _Model("userspace", ("at",), ("size", "registers"), _userspace),
    "scripted": _Model("userspace", ("at",), ("size", "registers", "replies"), _userspace),
    "virtio-mmio": _Model("userspace", ("at",), ("size", "registers"), _userspace),
    "pl011": _Model(
        "userspace", ("at",), ("size", "registers", "input", "typed", "console", "spi"), _userspace
    ),
    "replies-by-address": _Model("userspace", ("at",), ("size", "registers"), _userspace),
    "cfi-flash": _Model("userspace", ("at", "size"), ("console",), _userspace),
    "vgic-v3": _Model(
        "kernel", ("distributor", "redistributor"), (), _vgic(3, "redistributor", _REDISTRIBUTOR)
    ),
    "vgic-v2": _Model(
        "kernel", ("distributor", "cpu_interface"), (), _vgic(2, "cpu_interface", _CPU_INTERFACE)
    ),
    "ioeventfd": _Model("kernel", ("at", "len"), ("match",), _ioeventfd),
    "coalesced": _Model("kernel", ("at",), ("size",), _coalesced),
}


def _check_interrupts(devices: Map, found: Devices, scope: Scope) -> None:
    """Reports an interrupt that nothing takes, and one that two devices would raise and lower
    without regard to each other."""
    seen: dict[int, str] = {}
    for device in found.userspace:
        node = devices.get(device.name)
        key = node.key("spi") if isinstance(node, Map) else None
        if device.spi is None or key is None:
            continue
        if found.gic is None and scope.complete:
            scope.problems.add(
                f"{quoted(device.name)} has an interrupt and no interrupt controller",
                key.span,
                expected="a vgic-v2 or vgic-v3 among the devices",
            )
        if (first := seen.setdefault(device.spi, device.name)) != device.name:
            scope.problems.add(
                f"{quoted(device.name)} has the interrupt of {quoted(first)}",
                key.span,
                expected="another SPI",
            )


def _check_distinct(devices: Map, found: Devices, scope: Scope) -> None:
    seen: dict[Ioeventfd, str] = {}
    for name, ioeventfd in found.ioeventfds.items():
        first = seen.setdefault(ioeventfd, name)
        key = devices.key(name)
        if first != name and key is not None:
            scope.problems.add(
                f"{quoted(name)} overlaps {quoted(first)}: "
                "two ioeventfds have the same address, len and match",
                key.span,
            )

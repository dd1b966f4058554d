"""The devices around the guest: those of userspace, and those that the kernel handles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from vcpu_scenario.arm64.mmioregisters import BY_MODEL, VIRTIO_MMIO, VIRTIO_MMIO_MAGIC
from vcpu_scenario.case import Device, Ioeventfd
from vcpu_scenario.expectation import Typing
from vcpu_scenario.kvm.abi import FIRST_SPI
from vcpu_scenario.language.deviceentry import DEFAULT_SIZE, Devices, Entry, placed_at
from vcpu_scenario.language.kerneldevices import (
    CPU_INTERFACE,
    REDISTRIBUTOR,
    read_coalesced,
    read_ioeventfd,
    read_vgic,
)
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

_IDENTITY: Final = {
    VIRTIO_MMIO["MAGIC_VALUE"]: VIRTIO_MMIO_MAGIC,
    VIRTIO_MMIO["VERSION"]: 2,
}


class _Model(NamedTuple):
    handled_by: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Entry, str], None]


def read_devices(devices: Node | None, scope: Scope) -> Devices:
    """The devices that the mapping ``devices`` describes."""
    found = Devices()
    if not isinstance(devices, Map):
        return found
    for key, node in devices.entries:
        if isinstance(node, Map):
            _read(Entry(key, node, scope, found, scope.problems.reports))
    _check_distinct(devices, found, scope)
    _check_interrupts(devices, found, scope)
    return found


def _read(entry: Entry) -> None:
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


def _keys_fit(entry: Entry, name: str, model: _Model) -> bool:
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


def _userspace(entry: Entry, model: str) -> None:
    size = entry.number("size", DEFAULT_SIZE, IPA_LIMIT)
    base = entry.region("userspace", "at", size)
    text, spi = entry.node.get("input"), _spi(entry)
    places = Places(entry.name.text, size, BY_MODEL.get(model, {}), entry.scope)
    entry.found.registers[entry.name.text] = placed_at(base, places.names)
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


def _typed(entry: Entry) -> tuple[tuple[bytes, bytes], ...]:
    found = [
        (Typing(entry.name.text, after.text.encode(), item.span), text.text.encode())
        for item in items_of(entry.node.get("typed"))
        if isinstance(item, Map)
        and isinstance(after := item.get("after"), Scalar)
        and isinstance(text := item.get("text"), Scalar)
    ]
    entry.found.typing += [typing for typing, _ in found]
    return tuple((typing.after, text) for typing, text in found)


def _spi(entry: Entry) -> int | None:
    node = entry.node.get("spi")
    return None if node is None else entry.scope.number(node, low=FIRST_SPI, high=NR_IRQS - 1)


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
        "kernel", ("distributor", "redistributor"), (), read_vgic(3, "redistributor", REDISTRIBUTOR)
    ),
    "vgic-v2": _Model(
        "kernel", ("distributor", "cpu_interface"), (), read_vgic(2, "cpu_interface", CPU_INTERFACE)
    ),
    "ioeventfd": _Model("kernel", ("at", "len"), ("match",), read_ioeventfd),
    "coalesced": _Model("kernel", ("at",), ("size",), read_coalesced),
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

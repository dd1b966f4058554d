"""Device models that userspace runs: who answers an MMIO exit."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Final, Protocol

from vcpu_scenario.case import Case, Device
from vcpu_scenario.machine.errors import NotModelled
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.flash import CfiFlash
from vcpu_scenario.vmm.pl011 import Pl011
from vcpu_scenario.vmm.watch import Watch


class DeviceModel(Protocol):
    """A device; ``offset`` counts bytes from its base, ``length`` is 1, 2, 4 or 8."""

    def read(self, offset: int, length: int) -> int: ...

    def write(self, offset: int, length: int, value: int) -> None: ...

    def output(self) -> bytes:
        """What the device has sent out so far."""


_ALL: Final = (1 << 64) - 1


def stored(value: int) -> bytes:
    """The bytes of a register that holds ``value``: 4, or as many as it takes."""
    return value.to_bytes(max(4, (value.bit_length() + 7) // 8), "little")


class RegisterFile:
    """Little-endian bytes that keep what was written to them."""

    def __init__(self, device: Device) -> None:
        self._bytes = dict[int, int]()
        for offset, value in device.registers:
            self._bytes.update(enumerate(stored(value), offset))

    def read(self, offset: int, length: int) -> int:
        found = map(self._bytes.get, range(offset, offset + length), repeat(0))
        return int.from_bytes(found, "little")

    def write(self, offset: int, length: int, value: int) -> None:
        self._bytes.update(enumerate(value.to_bytes(length, "little"), offset))

    def output(self) -> bytes:
        return b""


class Scripted:
    """Answers successive reads of an offset with the replies listed for it; the last one stays."""

    def __init__(self, device: Device) -> None:
        self._fixed = dict(device.registers)
        self._replies = {offset: list(values) for offset, values in device.replies}

    def read(self, offset: int, length: int) -> int:
        queue = self._replies.get(offset)
        if queue:
            return queue.pop(0) if len(queue) > 1 else queue[0]
        return self._fixed.get(offset, 0)

    def write(self, offset: int, length: int, value: int) -> None:
        """A scripted device forgets what it is told."""

    def output(self) -> bytes:
        return b""


class ByAddress:
    """Answers by exact address with all eight bytes, as the recordings' VMM did; else silent."""

    def __init__(self, device: Device) -> None:
        self._values = dict(device.registers)

    def read(self, offset: int, length: int) -> int:
        return self._values[offset]

    def answers(self, offset: int) -> bool:
        return offset in self._values

    def write(self, offset: int, length: int, value: int) -> None:
        """Recordings took no notice of writes."""

    def output(self) -> bytes:
        return b""


MODELS: dict[str, Callable[[Device], DeviceModel]] = {
    "registers": RegisterFile,
    "scripted": Scripted,
    "pl011": Pl011,
    "replies-by-address": ByAddress,
    "cfi-flash": CfiFlash,
}

SENDING: Final = frozenset({"pl011"})
"""The models that send anything out; of the others :meth:`DeviceModel.output` is always empty."""


class Bus:
    """The devices of a case, found by address."""

    def __init__(self, case: Case, watch: Watch | None = None) -> None:
        self._devices = [(device, MODELS[device.model](device)) for device in case.devices]
        for device, model in self._devices:
            if isinstance(model, Pl011):
                model.watch = watch
            if isinstance(model, CfiFlash):
                model.slot = [slot.base for slot in case.slots].index(device.base)
        self._default_reply = case.default_reply

    def belong_to(self, machine: Machine) -> None:
        """What devices do to memory and to interrupt lines is done in ``machine`` from now on."""
        for _, model in self._devices:
            if isinstance(model, CfiFlash):
                model.machine = machine
            elif isinstance(model, Pl011):
                model.belong_to(machine)

    def require_memory(self, what: str) -> None:
        """Raises :class:`NotModelled` where a flash reads as anything but the memory of its slot,
        of which ``what`` knows nothing."""
        for device, model in self._devices:
            if isinstance(model, CfiFlash) and not model.is_memory:
                raise NotModelled(f"{what} while the flash `{device.name}` does not read as memory")

    def _at(self, addr: int) -> tuple[DeviceModel, int] | None:
        for device, model in self._devices:
            offset = addr - device.base
            if 0 <= offset < device.size and not (
                isinstance(model, ByAddress) and not model.answers(offset)
            ):
                return model, offset
        return None

    def answers(self, addr: int) -> bool:
        """Whether a device is there."""
        return self._at(addr) is not None

    def read(self, addr: int, length: int) -> int:
        """All 8 bytes of ``run->mmio.data``, little-endian, that answer a read of ``length``."""
        found = self._at(addr)
        if found is None:
            return self._default_reply
        model, offset = found
        return model.read(offset, length) & _ALL

    def write(self, addr: int, length: int, data: bytes) -> None:
        if (found := self._at(addr)) is not None:
            model, offset = found
            model.write(offset, length, int.from_bytes(data[:length], "little"))

    def outputs(self) -> dict[str, bytes]:
        """What each device sent out, those that sent nothing left out."""
        sent = {device.name: model.output() for device, model in self._devices}
        return {name: data for name, data in sent.items() if data}

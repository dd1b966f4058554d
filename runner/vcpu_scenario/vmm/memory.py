"""What a VMM can reach of its guest for a debugger: memory, devices, by address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcpu_scenario.case import Case, Memslot
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.walk import translate

_PAGE: Final = 4096
_WIDEST: Final = 4
"""Bytes that a device is asked for at once."""


class Unreachable(Exception):
    """There is nothing at the address, or nothing that the VMM can reach."""

    def __init__(self, addr: int) -> None:
        super().__init__(addr)
        self.addr = addr

    def __str__(self) -> str:
        return f"cannot access {self.addr:#x}"


class Memory:
    """Guest memory and the devices that userspace runs. Lengths are bytes.

    Every method raises :class:`Unreachable`; one that writes has written nothing of that piece.
    """

    def __init__(self, machine: Machine, case: Case, bus: Bus) -> None:
        self._machine = machine
        self._slots: list[Memslot] = list(case.slots)
        self._bus = bus

    def translate(self, addr: int) -> int:
        """The IPA of a virtual address."""
        ipa = translate(self._machine, self._entry, addr)
        if ipa is None:
            raise Unreachable(addr)
        return ipa

    def read(self, ipa: int, length: int, *, devices: bool = True) -> bytes:
        """What is at ``ipa``; a device is read as the guest reads it, with all that follows."""
        return b"".join(
            self._read(at, size, devices) for at, size in self._pieces(ipa, length, devices)
        )

    def write(self, ipa: int, data: bytes, *, devices: bool = True) -> None:
        for at, size in self._pieces(ipa, len(data), devices):
            piece = data[at - ipa : at - ipa + size]
            if self._ram(at):
                self._kvm_write(at, piece)
            else:
                self._bus.write(at, size, piece)

    def reads_device(self, addr: int, length: int) -> bool:
        """Whether a device is at the virtual address: it may change by being read."""
        try:
            return self._ram(self.translate(addr)) is None
        except Unreachable:
            return False

    def read_virtual(self, addr: int, length: int) -> bytes:
        return b"".join(self.read(self.translate(at), size) for at, size in _pages(addr, length))

    def write_virtual(self, addr: int, data: bytes) -> None:
        for at, size in _pages(addr, len(data)):
            self.write(self.translate(at), data[at - addr : at - addr + size])

    def _entry(self, ipa: int) -> int | None:
        try:
            return int.from_bytes(self.read(ipa, 8, devices=False), "little")
        except Unreachable:
            return None

    def _pieces(self, ipa: int, length: int, devices: bool) -> Iterator[tuple[int, int]]:
        """Where memory is, all of it up to the slot's end; of a device what it is asked at once."""
        end = ipa + length
        pieces: list[tuple[int, int]] = []
        while ipa < end:
            slot = self._ram(ipa)
            if slot is not None:
                size = min(end, slot.base + slot.size) - ipa
            elif devices and self._bus.answers(ipa):
                size = min(_WIDEST, ipa & -ipa or _WIDEST, 1 << (end - ipa).bit_length() - 1)
            else:
                raise Unreachable(ipa)
            pieces.append((ipa, size))
            ipa += size
        return iter(pieces)

    def _ram(self, ipa: int) -> Memslot | None:
        return next(
            (slot for slot in self._slots if slot.base <= ipa < slot.base + slot.size), None
        )

    def _read(self, ipa: int, length: int, devices: bool) -> bytes:
        if self._ram(ipa) is None:
            return self._bus.read(ipa, length).to_bytes(8, "little")[:length]
        try:
            return self._machine.memory.read(ipa, length)
        except KvmError:
            raise Unreachable(ipa) from None

    def _kvm_write(self, ipa: int, data: bytes) -> None:
        try:
            self._machine.memory.write(ipa, data)
        except KvmError:
            raise Unreachable(ipa) from None


def _pages(addr: int, length: int) -> Iterator[tuple[int, int]]:
    """The parts of a range that lie in one page each."""
    end = addr + length
    while addr < end:
        size = min(end, (addr | _PAGE - 1) + 1) - addr
        yield addr, size
        addr += size

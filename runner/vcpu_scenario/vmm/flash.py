"""A NOR flash with the Common Flash Interface (JESD68.01) and Intel's command set, number 0001.

It is two chips of 16 bits side by side, as QEMU's virt has them. While it reads as memory, the
guest reads it without an exit: it is a read-only slot, whose writes are the commands. While it
reads as anything else, the VMM has taken the slot away, and the reads exit too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vcpu_scenario.case import Device
from vcpu_scenario.ioctls.memory import SetMemoryRegion
from vcpu_scenario.machine.errors import NotModelled
from vcpu_scenario.machine.interface import Machine

BLOCK: Final = 256 << 10
"""Bytes that are erased at once, of both chips."""
_BANK: Final = 4
_READY: Final = 0x80
_SEQUENCE_ERROR: Final = 0x30
_CONFIRM: Final = 0xD0
_PAGE: Final = 4096
_ID: Final = {0: 0x89, 1: 0x18}
"""The maker and the device; the lock bits, behind them, are 0: no block is locked."""


class CfiFlash:
    """The flash in the memory slot ``slot`` of ``machine``."""

    machine: Machine
    slot: int

    def __init__(self, device: Device) -> None:
        self._base, self._size = device.base, device.size
        self._status = _READY
        self._next: Callable[[int, int, int], None] = self._command
        self._left = 0
        """Words that the buffer still waits for."""
        self._buffer: list[tuple[int, bytes]] = []
        self._changed = dict[int, _Page]()
        """What is to be done to the slot when it is there again, by the pages of the flash."""
        self._query = _query(device.size)
        self._reads: Callable[[int], int] | None = None
        """What a chip's word reads as; None where the guest reads the slot."""
        self._readers: Final = {
            0x70: lambda _: self._status,
            0x90: lambda word: _ID.get(word % (BLOCK // _BANK), 0),
            0x98: lambda word: self._query.get(word, 0),
        }

    def read(self, offset: int, length: int) -> int:
        if self._reads is None:
            length = min(length, self._size - offset)
            return int.from_bytes(self.machine.memory.read(self._base + offset, length), "little")
        words = (self._reads(offset // _BANK + n) for n in range(3))
        both = b"".join((chip | chip << 16).to_bytes(_BANK, "little") for chip in words)
        return int.from_bytes(both[offset % _BANK :][:length], "little")

    def write(self, offset: int, length: int, value: int) -> None:
        self._next(offset, length, value)

    def output(self) -> bytes:
        return b""

    @property
    def is_memory(self) -> bool:
        """Whether it reads as memory, and waits for nothing."""
        return self._reads is None

    def _command(self, offset: int, length: int, value: int) -> None:
        command = value & 0xFF
        if command in (0xFF, 0xF0):
            self._show_array()
        elif command in self._readers:
            self._show(self._readers[command])
        elif command == 0x50:
            self._status = _READY
        elif command in (following := self._following()):
            self._show(self._readers[0x70])
            self._next = following[command]
        else:
            raise NotModelled(f"command {command:#x} of a CFI flash")

    def _following(self) -> dict[int, Callable[[int, int, int], None]]:
        """What is to come after the first cycle of a command that has more."""
        return {
            0x10: self._program,
            0x20: self._erase,
            0x40: self._program,
            0x60: self._lock,
            0xE8: self._count,
        }

    def _program(self, offset: int, length: int, value: int) -> None:
        self._clear(offset, value.to_bytes(length, "little"))
        self._next = self._command

    def _erase(self, offset: int, length: int, value: int) -> None:
        if self._confirmed(value):
            first = (offset - offset % BLOCK) // _PAGE
            erased = (_Page(erased=True) for _ in range(BLOCK // _PAGE))
            self._changed.update(enumerate(erased, first))

    def _lock(self, offset: int, length: int, value: int) -> None:
        self._next = self._command

    def _count(self, offset: int, length: int, value: int) -> None:
        self._left = (value & 0xFFFF) + 1
        self._buffer = []
        self._next = self._fill

    def _fill(self, offset: int, length: int, value: int) -> None:
        self._buffer.append((offset, value.to_bytes(length, "little")))
        self._left -= max(length // _BANK, 1)
        if self._left <= 0:
            self._next = self._write_buffer

    def _write_buffer(self, offset: int, length: int, value: int) -> None:
        if self._confirmed(value):
            for at, data in self._buffer:
                self._clear(at, data)

    def _confirmed(self, value: int) -> bool:
        """The last cycle of a command: whether it is confirmed, or is in error."""
        self._next = self._command
        confirmed = value & 0xFF == _CONFIRM
        if not confirmed:
            self._status |= _SEQUENCE_ERROR
        return confirmed

    def _clear(self, offset: int, data: bytes) -> None:
        """Programming clears bits; only erasing sets them. What lies behind the end is lost."""
        for at, byte in enumerate(data[: self._size - offset], offset):
            page = self._changed.setdefault(at // _PAGE, _Page())
            page.kept[at % _PAGE] &= byte

    def _show(self, reads: Callable[[int], int]) -> None:
        if self._reads is None:
            self.machine.memory.set_region(SetMemoryRegion(self.slot, self._base, 0))
        self._reads = reads

    def _show_array(self) -> None:
        if self._reads is None:
            return
        self._reads = None
        region = SetMemoryRegion(self.slot, self._base, self._size, readonly=True)
        self.machine.memory.set_region(region)
        for number, page in self._changed.items():
            ipa = self._base + number * _PAGE
            self.machine.memory.write(ipa, page.of(self.machine.memory.read(ipa, _PAGE)))
        self._changed.clear()


class _Page:
    """What programming and erasing make of a page."""

    def __init__(self, *, erased: bool = False) -> None:
        self._erased: Final = erased
        self.kept: Final = bytearray(b"\xff" * _PAGE)
        """The bits that no programming has cleared."""

    def of(self, old: bytes) -> bytes:
        if self._erased:
            return bytes(self.kept)
        return bytes(one & other for one, other in zip(old, self.kept, strict=True))


def _query(size: int) -> dict[int, int]:
    """The table that a chip of half the size answers a query with (JESD68.01, table 1)."""
    chip, blocks, block = (size // 2).bit_length() - 1, size // BLOCK - 1, BLOCK // 2 // 256
    table = {
        0x10: b"QRY" + bytes((1, 0, 0x31, 0)),
        0x1B: bytes((0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0)),
        0x27: bytes((chip, 2, 0, 11, 0, 1)),
        0x2D: blocks.to_bytes(2, "little") + block.to_bytes(2, "little"),
        0x31: b"PRI10" + bytes(8),
    }
    return {at + n: byte for at, row in table.items() for n, byte in enumerate(row)}

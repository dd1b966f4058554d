"""Arm's PL011 UART (DDI 0183, chapter 3), as userspace models it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.arm64.mmioregisters import PL011
from vcpu_scenario.case import Device
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.watch import Watch

_RXFE: Final = 1 << 4
_TXFE: Final = 1 << 7
_RX: Final = 1 << 4
_TX: Final = 1 << 5
_ID: Final = (0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1)
_ID_BASE: Final = 0xFE0
_IDS: Final = range(_ID_BASE, 0x1000, 4)
_COMPUTED: Final = {
    PL011["DR"]: "the next character of the receive FIFO",
    PL011["FR"]: "TXFE, and RXFE while the receive FIFO is empty",
    **dict.fromkeys(_IDS, "the identification of a PL011"),
}
_COMPUTED_WITH_INTERRUPT: Final = {
    PL011["RIS"]: "the interrupts of the FIFOs",
    PL011["MIS"]: "the interrupts of the FIFOs that IMSC lets through",
}


def computed(*, interrupt: bool) -> Mapping[int, str]:
    """What the registers read as that never show what is put there, by offset; ``interrupt``: of a
    UART that has one."""
    return _COMPUTED | (_COMPUTED_WITH_INTERRUPT if interrupt else {})


class Pl011:
    """The transmitter is always ready, so TXFE stays set and TXFF and BUSY clear; ``input`` is what
    waits in the receive FIFO, to which is added what is ``typed`` once it has sent what is waited
    for.

    With an ``spi`` it has its interrupt: of the receive FIFO while anything is in it, of the
    transmit FIFO once something was sent, until UARTICR clears it. Without one RIS, MIS and ICR
    are registers like others, and the guest has to poll.
    """

    def __init__(self, device: Device) -> None:
        self._input = bytearray(device.input)
        self._sent = bytearray()
        self._typed = list(device.typed)
        self.watch: Watch | None = None
        self._looked_at = 0
        """How much of what was sent is before what is waited for."""
        self._registers = dict(device.registers)
        self._spi: Final = device.spi
        self._raw = _RX if device.input else 0
        """UARTRIS."""
        self._level = False
        self._machine: Machine | None = None

    def belong_to(self, machine: Machine) -> None:
        """The interrupt is raised in ``machine`` from now on, where it is low so far."""
        self._machine, self._level = machine, False
        self._signal()

    def read(self, offset: int, length: int) -> int:
        if offset == PL011["DR"]:
            return self._received()
        if offset == PL011["FR"]:
            return _TXFE | (0 if self._input else _RXFE)
        if offset in _IDS:
            return _ID[_IDS.index(offset)]
        if self._spi is not None and offset == PL011["RIS"]:
            return self._raw
        if self._spi is not None and offset == PL011["MIS"]:
            return self._masked
        return self._registers.get(offset, 0)

    def write(self, offset: int, length: int, value: int) -> None:
        if offset == PL011["DR"]:
            self._sent.append(value & 0xFF)
            self._raw |= _TX
            if self.watch is not None:
                self.watch.sent(value & 0xFF)
            self._type()
        elif self._spi is not None and offset == PL011["ICR"]:
            self._raw &= ~value
        elif offset < _ID_BASE:
            self._registers[offset] = value
        self._signal()

    def output(self) -> bytes:
        """What was sent so far."""
        return bytes(self._sent)

    def _received(self) -> int:
        if not self._input:
            return 0
        character = self._input.pop(0)
        if not self._input:
            self._raw &= ~_RX
            self._signal()
        return character

    def _type(self) -> None:
        if not self._typed:
            return
        after, text = self._typed[0]
        if self._sent.endswith(after) and self._looked_at + len(after) <= len(self._sent):
            self._looked_at = len(self._sent)
            self._input += text
            self._raw |= _RX
            del self._typed[0]

    @property
    def _masked(self) -> int:
        """UARTMIS."""
        return self._raw & self._registers.get(PL011["IMSC"], 0)

    def _signal(self) -> None:
        level = bool(self._masked)
        if self._spi is None or self._machine is None or level == self._level:
            return
        self._level = level
        line = abi.KVM_ARM_IRQ_TYPE_SPI << abi.KVM_ARM_IRQ_TYPE_SHIFT | self._spi
        self._machine.irq_line(line, int(level))

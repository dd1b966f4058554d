"""Bytes to packets and back: framing, checksums and escapes of the GDB remote protocol.

Nothing here reads or waits: bytes go in as they come, in whatever pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

LARGEST: Final = 0x4000
"""Bytes of a packet, as ``qSupported`` says; one that is larger is refused."""

_INTERRUPT: Final = 0x03
_START: Final = ord("$")
_END: Final = ord("#")
_ESCAPE: Final = ord("}")
_FLIP: Final = 0x20
_SPECIAL: Final = b"#$}*"
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class Packet(NamedTuple):
    """A packet that came whole; ``data`` is what it holds, escapes undone."""

    data: bytes


class Sign(Enum):
    """What comes between packets."""

    ACK = "+"
    NACK = "-"
    INTERRUPT = "^C"
    BROKEN = "broken"
    """A packet that is too large, or whose checksum is another."""


Event: TypeAlias = Packet | Sign

_SIGNS: Final = {ord("+"): Sign.ACK, ord("-"): Sign.NACK, _INTERRUPT: Sign.INTERRUPT}


class Framing:
    """What has come of a packet so far. One of more than ``largest`` bytes is refused, or dropped
    without a word."""

    def __init__(self, largest: int = LARGEST, complains: bool = True) -> None:
        self._largest: Final = largest
        self._complains: Final = complains
        self._body: bytearray | None = None
        self._tail: bytearray | None = None
        self._too_large = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that ``data`` completes."""
        for byte in data:
            event = self._next(byte)
            if event is not None:
                yield event

    def give_up_at_interrupt(self) -> bool:
        """Whether there is a ^C in a packet that has not come whole; that packet is given up."""
        if _INTERRUPT not in (self._body or b"") and _INTERRUPT not in (self._tail or b""):
            return False
        self._body = self._tail = None
        return True

    def _next(self, byte: int) -> Event | None:
        if self._tail is not None:
            return self._checksum(byte)
        if byte == _START:
            self._body, self._too_large = bytearray(), False
        elif self._body is None:
            return _SIGNS.get(byte)
        elif byte == _END:
            self._tail = bytearray()
        elif len(self._body) >= self._largest:
            self._too_large = True
        else:
            self._body.append(byte)  # a ^C within a packet is a byte of it
        return None

    def _checksum(self, byte: int) -> Event | None:
        assert self._tail is not None
        assert self._body is not None
        self._tail.append(byte)
        if len(self._tail) < 2:
            return None
        body, tail, self._body, self._tail = bytes(self._body), self._tail, None, None
        if self._too_large and not self._complains:
            return None
        right = _HEX.issuperset(tail) and int(tail, 16) == sum(body) & 0xFF
        return Packet(_unescaped(body)) if right and not self._too_large else Sign.BROKEN


def _unescaped(body: bytes) -> bytes:
    if _ESCAPE not in body:
        return body
    out = bytearray()
    flip = 0
    for byte in body:
        if byte == _ESCAPE and not flip:
            flip = _FLIP
        else:
            out.append(byte ^ flip)
            flip = 0
    return bytes(out)


def framed(data: bytes) -> bytes:
    """``data`` as a packet."""
    body = bytearray()
    for byte in data:
        body += bytes([_ESCAPE, byte ^ _FLIP]) if byte in _SPECIAL else bytes([byte])
    return b"$%b#%02x" % (bytes(body), sum(body) & 0xFF)

"""The debugger's end of the GDB remote protocol: a packet out, its answer in, all of it kept."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Final

_ACK: Final = b"+"
_NACK: Final = b"-"
_INTERRUPT: Final = b"\x03"
_ESCAPE: Final = ord("}")
_REPEAT: Final = ord("*")
_FLIP: Final = 0x20
_LEAST_REPEAT: Final = 29
"""What is taken from the character that counts repeats."""
_CHUNK: Final = 4096

INTERRUPT: Final = "^C"
"""A ^C, as it is kept."""


class Gone(Exception):
    """The other end closed the connection, or does not answer."""


class Wire:
    """A connection over the socket at ``path``, which may be made while we wait.

    ``kept`` has each packet and its answer, None where none came.
    """

    def __init__(self, path: str, seconds: float) -> None:
        """Raises :class:`Gone` where nobody listens within ``seconds``."""
        self.kept: list[tuple[str, str | None]] = []
        self._came = bytearray()
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._socket.connect(path)
            except OSError as error:
                if time.monotonic() > deadline:
                    self._socket.close()
                    raise Gone(f"no gdbstub: {error.strerror}") from None
                time.sleep(0.02)

    def close(self) -> None:
        self._socket.close()

    def ask(self, packet: str, seconds: float, *, kept: bool = True) -> str:
        """The answer. Raises :class:`Gone`."""
        self.send(packet)
        answer = self.hear(seconds)
        if answer is None:
            raise Gone(f"no answer to {packet} within {seconds:g} s")
        if kept:
            self.kept.append((packet, answer))
        return answer

    def send(self, packet: str) -> None:
        body = packet.encode("latin1")
        self._put(b"$%b#%02x" % (body, sum(body) & 0xFF))

    def interrupt(self) -> None:
        self._put(_INTERRUPT)

    def hear(self, seconds: float) -> str | None:
        """The next packet, None where none comes within ``seconds``. Raises :class:`Gone`."""
        deadline = time.monotonic() + seconds
        while (found := self._packet()) is None:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                return None
            except OSError as error:
                raise Gone(str(error.strerror)) from None
            if not data:
                raise Gone("it closed the connection")
            self._came += data
        return found

    def _put(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Gone(str(error.strerror)) from None

    def _packet(self) -> str | None:
        """The first whole packet of what came, which is acknowledged."""
        start = self._came.find(b"$")
        end = self._came.find(b"#", start)
        if start < 0 or end < 0 or len(self._came) < end + 3:
            return None
        body, check = bytes(self._came[start + 1 : end]), bytes(self._came[end + 1 : end + 3])
        del self._came[: end + 3]
        right = check.lower() == b"%02x" % (sum(body) & 0xFF)
        with suppress(Gone):  # it may have ended with its last word
            self._put(_ACK if right else _NACK)
        return _plain(body).decode("latin1") if right else None


def _plain(body: bytes) -> bytes:
    """Escapes and runs undone."""
    out = bytearray()
    at = 0
    while at < len(body):
        byte = body[at]
        if byte == _ESCAPE and at + 1 < len(body):
            at += 1
            out.append(body[at] ^ _FLIP)
        elif byte == _REPEAT and out and at + 1 < len(body):
            at += 1
            out += out[-1:] * (body[at] - _LEAST_REPEAT)
        else:
            out.append(byte)
        at += 1
    return bytes(out)

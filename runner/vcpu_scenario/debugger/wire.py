"""Where bytes come from and go to: a socket, or the standard streams."""

from __future__ import annotations

import os
import select
import socket
from typing import Final, Protocol

_AT_ONCE: Final = 1 << 16
_PATIENCE: Final = 5.0
"""Seconds after which a client that takes nothing is given up."""


class Wire(Protocol):
    """One client's bytes. A client that is gone reads as None, and takes whatever is written."""

    def fileno(self) -> int: ...

    def wait(self, seconds: float) -> bytes | None:
        """The next bytes, none where none came in time."""

    def poll(self) -> bytes | None:
        """The bytes that are there, none where there are none."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class SocketWire:
    """A client on a stream socket."""

    def __init__(self, client: socket.socket) -> None:
        self._client: Final = client
        client.settimeout(_PATIENCE)
        if client.family == socket.AF_INET:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        return self._client.fileno()

    def wait(self, seconds: float) -> bytes | None:
        select.select([self._client], [], [], seconds)
        return self.poll()

    def poll(self) -> bytes | None:
        try:
            # Not by a flag of recv(): with a timeout set, that waits all the same.
            if not select.select([self._client], [], [], 0)[0]:
                return b""
            return self._client.recv(_AT_ONCE) or None
        except (OSError, ValueError):
            return None

    def write(self, data: bytes) -> None:
        try:
            self._client.sendall(data)
        except OSError:
            # It reads as gone from now on.
            self._shut()

    def _shut(self) -> None:
        try:
            self._client.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        self._client.close()


_STDIN, _STDOUT = 0, 1


class StandardWire:
    """The client is whoever has the standard streams, as ``target remote |`` gives them."""

    def __init__(self) -> None:
        self._gone = False

    def fileno(self) -> int:
        return _STDIN

    def wait(self, seconds: float) -> bytes | None:
        select.select([_STDIN], [], [], seconds)
        return self.poll()

    def poll(self) -> bytes | None:
        if self._gone:
            return None
        if not select.select([_STDIN], [], [], 0)[0]:
            return b""
        try:
            return os.read(_STDIN, _AT_ONCE) or None
        except OSError:
            return None

    def write(self, data: bytes) -> None:
        while data and not self._gone:
            ready = select.select([], [_STDOUT], [], _PATIENCE)[1]
            try:
                data = data[os.write(_STDOUT, data[:4096]) :] if ready else b""
            except OSError:
                ready = []
            self._gone = not ready

    def close(self) -> None:
        self._gone = True

"""Serves a stub to one client after the other, on this host alone."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Final

from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.debugger.wire import SocketWire, Wire

LOOPBACK: Final = "127.0.0.1"
_LOOK: Final = 0.2
"""Seconds between two looks at whether anyone else has come."""
_GRACE: Final = 0.5
_BACKLOG: Final = 16
_LEFT: Final = 10_000
"""Slices that a guest runs which was left to run."""


class CannotListen(OSError):
    """Nobody can be served there; the message says why."""


@contextmanager
def listening(port: int | None = None, path: str | None = None) -> Iterator[socket.socket]:
    """A socket for clients: a port of the loopback interface, 0 for any, or a Unix socket at
    ``path``, which is taken away afterwards. Raises :class:`CannotListen`."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    try:
        try:
            if path:
                listener.bind(path)
                os.chmod(path, 0o600)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((LOOPBACK, port or 0))
            listener.listen(_BACKLOG)
        except (OSError, ValueError, OverflowError) as error:
            what = path or f"{LOOPBACK}:{port}"
            why = getattr(error, "strerror", None) or str(error)
            path = None
            raise CannotListen(f"cannot listen at {what}: {why}") from None
        yield listener
    finally:
        listener.close()
        if path:
            with suppress(OSError):
                os.unlink(path)


def serve(
    stub: Stub,
    listener: socket.socket,
    goes_on: Callable[[], bool] = lambda: True,
    keep: Callable[[], object] = lambda: None,
) -> None:
    """Serves clients, one at a time, until one ends the guest or ``goes_on`` says no.

    A second client that comes meanwhile is sent away. ``goes_on`` is asked between clients, and
    ``keep`` called where nothing is under way.
    """
    while goes_on() and not stub.ended:
        client = _next(stub, listener, goes_on)
        if client is None:
            return
        wire = SocketWire(client)
        try:
            talk(stub, wire, _Others(listener).look, keep)
        finally:
            wire.close()


def talk(
    stub: Stub,
    wire: Wire,
    meanwhile: Callable[[], None] = lambda: None,
    keep: Callable[[], object] = lambda: None,
) -> None:
    """Serves one client until it is gone or the stub hangs up."""

    def more() -> bytes | None:
        meanwhile()
        return wire.poll()

    wire.write(stub.connected())
    while not stub.closing:
        data = wire.wait(_LOOK)
        meanwhile()
        if data is None:
            return
        wire.write(stub.receive(data))
        while stub.resume is not None:
            wire.write(stub.run(more))
        keep()
        if stub.arrived:
            arrived, stub.arrived = stub.arrived, b""
            wire.write(arrived)
            while stub.resume is not None:
                wire.write(stub.run(more))


def _ready(listener: socket.socket, seconds: float) -> bool:
    return bool(select.select([listener], [], [], seconds)[0])


def _next(stub: Stub, listener: socket.socket, goes_on: Callable[[], bool]) -> socket.socket | None:
    """The next client; until it comes a guest that was left to run runs on."""
    if stub.detached and not stub.target.session.over:
        left = iter(range(_LEFT))
        stub.target.resume(False, lambda: _ready(listener, 0) or next(left, None) is None)
    while goes_on():
        if _ready(listener, _LOOK):
            return listener.accept()[0]
    return None


class _Others:
    """Clients that come while one is served: sent away, but not at once, for the one that is
    served may have gone without a word just before."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener: Final = listener
        self._since: float | None = None

    def look(self) -> None:
        if not _ready(self._listener, 0):
            return
        if self._since is None:
            self._since = monotonic()
        elif monotonic() - self._since > _GRACE:
            self._since = None
            with suppress(OSError):
                self._listener.accept()[0].close()

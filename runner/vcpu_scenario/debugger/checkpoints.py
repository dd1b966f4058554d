"""The quick way back: processes that wait, each with the guest as it was some steps ago.

The process that serves the debugger forks as it continues, and the fork stays where it is. To go
back, it hands what is to be done to the last fork before that place, which forks again: the new
process does the few steps that are left and serves from then on, and the one that served is done.
So nothing copies a guest but the kernel, page by page. The first process, which the user started,
waits until the last one that serves has ended. All end with it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NamedTuple, NoReturn

from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.ops import Op, Point
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.vmm.told import Told

EVERY: Final = 100
"""Things done between two forks at first; twice as many each time that there are too many."""
MOST: Final = 112
_MEMORY: Final = 1 << 31
"""Bytes that the forks' guests may come to, if each writes all that it has."""
_PATIENCE: Final = 10.0
"""Seconds after which the process that is to serve next counts as lost."""
_LOOK: Final = 0.2
"""Seconds between two looks at whether it is there."""
_LENGTH: Final = struct.Struct("<Q")
_NUMBER: Final = struct.Struct("<q")
_ENDED: Final = 0


class HandedOver(BaseException):
    """Another process serves now: the first one is to call :meth:`Checkpoints.wait`."""


class _Kept(NamedTuple):
    """A fork: ``length`` things were done before it, and ``orders`` is the pipe to it."""

    length: int
    orders: int


class _Order(NamedTuple):
    """What a fork does: the rest of the way, and the conversation from there on."""

    ops: Sequence[Op]
    points: Sequence[Point]
    told: Told
    stub: dict[str, Any]


class Checkpoints:
    """Those of one stub, whose target is ``history``. Call :meth:`keep` where nothing is under way,
    between two packets."""

    def __init__(
        self, stub: Stub, history: History, *, every: int = EVERY, most: int = MOST
    ) -> None:
        self._stub: Final = stub
        self._history: Final = history
        self._every = every
        size = sum(slot.size for slot in history.session.case.slots)
        self._most: Final = max(2, min(most, _MEMORY // max(size, 1)))
        self._kept: list[_Kept] = []
        self._first: Final = os.getpid()
        self._life, self._holds = os.pipe()
        self._news, self._tells = os.pipe()
        history.leave = self._leave

    @property
    def _is_first(self) -> bool:
        return os.getpid() == self._first

    def has_first(self) -> bool:
        """Whether the process that the user started is there; a fork is to end without it."""
        return self._is_first or not select.select([self._life], [], [], 0)[0]

    def keep(self) -> bool:
        """Forks where it is time; true in another process, which went back to here and on again."""
        if not self.has_first():
            os._exit(1)
        length = self._history.length
        last = self._kept[-1].length if self._kept else 0
        if length - last < self._every or self._stub.closing:
            return False
        if len(self._kept) >= self._most:
            self._thin_out()
        orders, give = os.pipe()
        self._kept.append(_Kept(length, give))
        gc.freeze()
        try:
            forked = os.fork()
        except OSError:  # no room for another process: the way back takes longer
            os.close(orders)
            os.close(self._kept.pop().orders)
            self._every *= 2
            return False
        if forked:
            os.close(orders)
            return False
        if self._holds >= 0:
            os.close(self._holds)
            self._holds = -1
        self._wait_for_orders(orders)
        return True

    def _thin_out(self) -> None:
        for kept in self._kept[::2]:
            with suppress(BrokenPipeError):
                os.write(kept.orders, _LENGTH.pack(0))
            # Not before it is gone: others know of it, and are not to hand over to it any more.
            gone = select.poll()
            gone.register(kept.orders, 0)
            gone.poll()
            os.close(kept.orders)
        del self._kept[::2]
        self._every *= 2

    def _wait_for_orders(self, orders: int) -> None:
        """Stays as it is; comes back in a fork that is to continue from here."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready = select.select([orders, self._life], [], [])[0]
            order = _read(orders) if orders in ready else None
            if order is None:
                os._exit(0)
            if not os.fork():
                os.close(orders)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.write(self._tells, _NUMBER.pack(os.getpid()))
                self._go_on(order)
                return

    def _go_on(self, order: _Order) -> None:
        """A long way is kept in pieces as well."""
        piece = self._every
        for start in range(0, len(order.ops), piece):
            self._history.arrive(order.ops[start : start + piece])
            if self.keep():
                return
        self._history.set_points(order.points)
        self._stub.arrive(order.stub, order.told)

    def _leave(self, same: int, ops: Sequence[Op], points: Sequence[Point], told: Told) -> None:
        """Hands over to the last fork on the way to ``ops``, of which the first ``same`` are what
        was done here; does nothing where there is none."""
        import pickle  # which a first stop need not wait for

        for kept in reversed(self._kept):
            if kept.length > min(same, len(ops)):
                continue
            order = _Order(ops[kept.length :], points, told, self._stub.conversation)
            data = pickle.dumps(order)
            with suppress(BrokenPipeError):  # it was one too many for a process after it
                _write(kept.orders, _LENGTH.pack(len(data)) + data)
                if not self._is_first:
                    os._exit(0)
                raise HandedOver

    def serve(self, serving: Callable[[], None]) -> None:
        """Does ``serving``, in which the process may become another one; comes back in the first
        alone, when the last has ended."""
        try:
            serving()
        except HandedOver:
            self._wait()
        except BaseException:
            if not self._is_first:
                self._end(1)
            raise
        finally:
            if self._is_first and self._holds >= 0:
                os.close(self._holds)
                self._holds = -1
        if not self._is_first:
            self._end(0)

    def _end(self, status: int) -> NoReturn:
        os.write(self._tells, _NUMBER.pack(_ENDED))
        os._exit(status)

    def _wait(self) -> None:
        """Until the last that serves says that it ended, or is gone without another after it."""
        server, since = None, monotonic()
        while server is not None or monotonic() - since < _PATIENCE:
            if select.select([self._news], [], [], _LOOK)[0]:
                server = _NUMBER.unpack(os.read(self._news, _NUMBER.size))[0]
                if server == _ENDED:
                    return
            elif server is not None and not _is_there(server):
                server, since = None, monotonic()


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _read(orders: int) -> _Order | None:
    import pickle

    head = _read_whole(orders, _LENGTH.size)
    length = _LENGTH.unpack(head)[0] if head else 0
    if not length:
        return None
    order: _Order = pickle.loads(_read_whole(orders, length))  # from ourselves
    return order


def _read_whole(orders: int, length: int) -> bytes:
    data = b""
    while len(data) < length and (more := os.read(orders, length - len(data))):
        data += more
    return data


def _write(orders: int, data: bytes) -> None:
    while data:
        data = data[os.write(orders, data) :]

"""How work travels to the workers of an executor and what it gives comes back.

Most executors are given the bytes themselves. The processes of a :class:`ProcessPoolExecutor` are
told the name of a file, and answer with nothing: what does not fit into a pipe at once ends a pool
badly. Where a process dies while the pool's thread writes to it, that thread blocks for good up to
Python 3.11.4 (CPython gh-94777); where one dies in the middle of an answer, the thread that reads
waits for the rest of it on any version. Either way `shutdown` and the interpreter's end hang, and
no future tells. A name is written in one piece, and the names of all that is under way fit.
"""

from __future__ import annotations

import pickle
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

Work: TypeAlias = Callable[..., bytes]
"""A function that a worker can import; its arguments can be pickled."""

AHEAD: Final = 512
"""Pieces of work that are under way at a time: enough for as many processors, and bounded."""

_PIPE: Final = 1 << 16
"""Bytes that a pipe of Linux takes before who writes to it waits."""

_ENVELOPE: Final = 256
"""Bytes that a pool's call takes there beside the name of a file, and what a page wastes."""


class Carrier(Protocol):
    """Sends work to one executor. ``ahead`` pieces may be under way at a time."""

    ahead: int

    def send(self, work: Work, *arguments: Any) -> Future[Any]:
        """Submit ``work(*arguments)``. Raises what the executor does, and OSError."""

    def receive(self, future: Future[Any]) -> bytes:
        """What came of a future that is done. Raises what the work did, or the executor."""

    def close(self) -> None:
        """Nobody wants what is under way any more: what has not begun is not done."""


def carrier(executor: Executor) -> Carrier:
    """The way to the workers of ``executor``, to be closed in the end."""
    return _Files(executor) if isinstance(executor, ProcessPoolExecutor) else _Bytes(executor)


class _Bytes:
    def __init__(self, executor: Executor) -> None:
        self.ahead = AHEAD
        self._executor = executor
        self._sent: set[Future[bytes]] = set()

    def send(self, work: Work, *arguments: Any) -> Future[bytes]:
        future = self._executor.submit(work, *arguments)
        self._sent.add(future)
        return future

    def receive(self, future: Future[bytes]) -> bytes:
        self._sent.discard(future)
        return future.result()

    def close(self) -> None:
        for future in self._sent:
            future.cancel()


class _Files:
    """A folder of its own has a file for each piece of work, which its answer replaces."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor
        self._folder = Path(tempfile.mkdtemp(prefix="vcpu-scenario-"))
        self._places: dict[Future[None], Path] = {}
        self._sent = 0
        self.ahead = min(AHEAD, _PIPE // (_ENVELOPE + len(str(self._folder))))

    def send(self, work: Work, *arguments: Any) -> Future[None]:
        place = self._folder / str(self._sent)
        self._sent += 1
        place.write_bytes(pickle.dumps((work, arguments), pickle.HIGHEST_PROTOCOL))
        future = self._executor.submit(_work_at, str(place))
        self._places[future] = place
        return future

    def receive(self, future: Future[None]) -> bytes:
        place = self._places.pop(future)
        try:
            future.result()
            return place.read_bytes()
        finally:
            place.unlink(missing_ok=True)

    def close(self) -> None:
        # Not cancelled: up to Python 3.12.0 a pool that breaks stumbles over futures that are.
        # Whoever finds no file has nothing to do.
        shutil.rmtree(self._folder, ignore_errors=True)


def _work_at(place: str) -> None:
    """What a process of a pool does: the work in the file ``place``, which gets the answer."""
    path = Path(place)
    try:
        work, arguments = pickle.loads(path.read_bytes())
    except FileNotFoundError:  # nobody wants it any more
        return
    answer = work(*arguments)
    with suppress(FileNotFoundError), path.open("r+b") as file:
        file.truncate()
        file.write(answer)

"""The side of a worker of :mod:`vcpu_scenario.running.pool`: does its tasks, answers piece by
piece."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import mmap
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any, Final, NoReturn

from msgspec import Struct

from vcpu_scenario.host.signals import SIGNALS

HEAD: Final = struct.Struct("<q")
"""Comes before an answer: its length."""
_PR_SET_PDEATHSIG: Final = 1
CHUNK: Final = struct.Struct("<qq")
"""An order: the first number, and the one after the last."""


class Lost(Struct, frozen=True):
    """A piece of work without a result: why, in a line, and whatever more there is to tell."""

    reason: str
    detail: str = ""


class Stop:
    """A flag that all workers see: each ends after the piece it is at."""

    def __init__(self) -> None:
        self._flag = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._flag[0] = 1

    def __bool__(self) -> bool:
        return self._flag[0] != 0


def serve(
    work: Callable[[int], Any],
    stop: Stop,
    orders: int,
    answers: int,
    words: IO[bytes],
    parents: Iterable[int],
    parent: int,
) -> NoReturn:
    """Process orders until there are no more. Never returns.

    Each number is answered with a tuple of what ``work`` gave, a chunk with None after its last;
    ``parents`` are ends of pipes that are not this process's; ``parent`` is the process without
    which it is to end, 0 if it had better end with its orders.
    """
    try:
        _settle(words.fileno())
        if parent:
            end_with(parent)
        for end in parents:
            os.close(end)
        while order := os.read(orders, CHUNK.size):
            for number in range(*CHUNK.unpack(order)):
                if stop:
                    break
                _send(answers, _answer(work, number))
            _send(answers, pickle.dumps(None))
    except BrokenPipeError:  # nobody is left to tell
        pass
    except BaseException:
        import traceback

        os.write(words.fileno(), traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def _answer(work: Callable[[int], Any], number: int) -> bytes:
    try:
        result = work(number)
    except Exception as error:
        result = _lost(error)
    try:
        return pickle.dumps((result,), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((_lost(error, "the result cannot be sent: "),))


def _lost(error: Exception, why: str = "") -> Lost:
    import traceback

    what = f"{why}{type(error).__name__}: {error}".splitlines()[0]
    return Lost(f"the runner failed: {what}", "".join(traceback.format_exception(error)))


def _settle(words: int) -> None:
    """Make a worker of this process."""
    for number in SIGNALS:  # they are for the parent, which then stops it
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    faulthandler.disable()
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(words, 2)
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115  as long as the process
    gc.freeze()  # what is shared with the parent stays shared: do not touch it to collect it


def end_with(parent: int) -> None:
    """Has this process killed when the thread that forked it ends, whatever it is at then."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _send(answers: int, data: bytes) -> None:
    left = memoryview(HEAD.pack(len(data)) + data)
    while left:
        left = left[os.write(answers, left) :]

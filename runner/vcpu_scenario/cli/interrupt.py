"""Ctrl-C, SIGTERM and SIGHUP: what is done is reported, and nothing is left behind.

The first asks a run to end after the case at hand, one that comes later gives up that case too;
after either the report is written. Who sends SIGTERM or SIGHUP seldom sends another but SIGKILL
before long, so that the case at hand has but a few seconds. Outside a run the first ends the
command. The status is 2.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from vcpu_scenario.host import signals
from vcpu_scenario.host.signals import SIGNALS

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds that the case at hand has to end after SIGTERM or SIGHUP."""


class Interrupt:
    """A context manager; ``asked`` is set and ``then`` is called once somebody wants to stop.

    Later signals raise KeyboardInterrupt. Takes over what this command line has taken, and
    Python's own Ctrl-C: a program that uses this package may have handlers of its own.
    """

    def __init__(self, then: Callable[[], None]) -> None:
        self.asked = False
        self._then = then
        self._before: dict[signal.Signals, Any] = {}
        self._patience: threading.Timer | None = None

    def __enter__(self) -> Interrupt:
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler in (signals.interrupted, signal.default_int_handler):
                try:
                    signal.signal(number, self._ask)
                except ValueError:  # only the main thread gets signals
                    break
                self._before[number] = handler
        return self

    def __exit__(self, *_: object) -> None:
        if self._patience is not None:
            self._patience.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        another = signals.is_another()
        if not self.asked:
            self.asked = True
            self._then()
            if number != signal.SIGINT:
                self._patience = threading.Timer(GRACE, os.kill, (os.getpid(), number))
                self._patience.daemon = True
                self._patience.start()
        elif another:
            raise KeyboardInterrupt


class UntilAsked(Generic[T]):
    """Items to be done one by one, until somebody wants to stop. A context manager.

    The one at hand when the first signal comes is still done; a later signal gives it up and ends
    the block. ``left`` says how many were not done.
    """

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items
        self._done = 0
        self._interrupt = Interrupt(lambda: None)

    @property
    def left(self) -> int:
        return len(self._items) - self._done

    def __enter__(self) -> UntilAsked[T]:
        self._interrupt.__enter__()
        return self

    def __iter__(self) -> Iterator[T]:
        for item in self._items:
            if self._interrupt.asked:
                return
            yield item
            self._done += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._interrupt.__exit__()
        return kind is KeyboardInterrupt and self._interrupt.asked

"""Ctrl-C, SIGTERM and SIGHUP: what is done is reported, and nothing is left behind.

The first asks a run to end after the case at hand, one that comes later gives up that case too;
after either the report is written. Outside a run the first ends the command. The status is 2.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from vcpu_scenario.host import signals
from vcpu_scenario.host.signals import SIGNALS


class Interrupt:
    """A context manager; ``asked`` is set and ``then`` is called once somebody wants to stop.

    Later signals raise KeyboardInterrupt. Takes over what this command line has taken, and
    Python's own Ctrl-C: a program that uses this package may have handlers of its own.
    """

    def __init__(self, then: Callable[[], None]) -> None:
        self.asked = False
        self._then = then
        self._before: dict[signal.Signals, Any] = {}

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
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        another = signals.is_another()
        if not self.asked:
            self.asked = True
            self._then()
        elif another:
            raise KeyboardInterrupt

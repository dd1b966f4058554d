"""Ctrl-C: the case at hand is finished and what is done is reported; a second one ends at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt:
    """A context manager; ``asked`` is set and ``then`` is called once somebody wants to stop."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.asked = False
        self._then = then
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        try:
            self._before = signal.signal(signal.SIGINT, self._ask)
        except ValueError:  # only the main thread gets signals
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._then()

"""``--follow``, and a line about a run that takes long: on standard error while it goes on.

The worker that runs a case has no standard error of its own, so that this keeps the terminal's.
"""

from __future__ import annotations

import contextlib
import os
from threading import Event, Thread
from time import monotonic
from typing import Final

from vcpu_scenario.cli.output import is_terminal
from vcpu_scenario.host.printable import tamed

_PATIENCE: Final = 2.0
"""Seconds after which a run takes long."""
_PAUSE: Final = 0.5
_CLEAR: Final = b"\r\x1b[2K"


class Follower:
    """Shows what guests send to their UARTS, if it is to ``follow``, and on a terminal how long a
    run has taken, while its guest is silent at the beginning of a line."""

    def __init__(self, *, follow: bool) -> None:
        self.exits = 0
        self._follow = follow
        self._shows_time = is_terminal("stderr")
        try:
            self._out = os.dup(2)
        except OSError:  # it was closed
            self._out = -1
        self._line = bytearray()
        self._drawn = False
        self._over = Event()

    def begins(self) -> None:
        self.exits = 0
        self._over = Event()
        if self._shows_time:
            Thread(target=self._tell_time, args=(self._over, monotonic()), daemon=True).start()

    def sent(self, byte: int) -> None:
        if not self._follow:
            return
        if byte != 0x0D:
            self._line.append(byte)
            self._write(tamed(bytes([byte]).decode("ascii", "replace")).encode())
        if byte == 0x0A:
            self._line.clear()

    def ended(self) -> None:
        self._over.set()
        self._write(b"\n" if self._line else b"")
        self._line.clear()

    def _tell_time(self, over: Event, start: float) -> None:
        over.wait(_PATIENCE)
        while not over.wait(_PAUSE):
            if not self._line:
                text = f"{monotonic() - start:.0f} s, {self.exits:,} exits"
                self._write(text.encode(), draws=True)

    def _write(self, data: bytes, *, draws: bool = False) -> None:
        clear, self._drawn = self._drawn or draws, draws
        with contextlib.suppress(OSError):
            os.write(self._out, (_CLEAR if clear else b"") + data)

"""The signals that end a command: each is an interruption, as Ctrl-C is, and ends it once.

Imports next to nothing: it is in force before anything else is.
"""

from __future__ import annotations

import signal
from time import monotonic
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a run; whoever sends one may send it to the workers as well."""

ONCE: Final = 0.3
"""Seconds within which signals are one: a terminal's Ctrl-C often comes through a parent as well,
and who ends a process tree sends to all of it and to each."""


def interrupted(number: int, frame: FrameType | None) -> None:
    """Ends what is being done, once: what is left to do then is not interrupted again."""
    if is_another():
        ignore()
        raise KeyboardInterrupt


def ignore() -> None:
    """Lets the last steps of a process pass in peace. They are few, and bounded."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def take() -> None:
    """Makes every signal that would end this process raise KeyboardInterrupt.

    What is ignored stays so: that is what ``nohup`` asks for.
    """
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupted)


_last = [-ONCE]
"""When the last signal was taken that was one by itself."""


def is_another() -> bool:
    """Whether a signal that comes now is not the last one again."""
    now = monotonic()
    if now - _last[0] < ONCE:
        return False
    _last[0] = now
    return True

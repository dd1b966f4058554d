"""The signals that end a command: each is an interruption, as Ctrl-C is, and ends it once.

Imports next to nothing: it is in force before anything else is.
"""

from __future__ import annotations

import os
import signal
import sys
from time import monotonic
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a run; whoever sends one may send it to the workers as well."""

ONCE: Final = 0.3
"""Seconds within which signals are one: a terminal's Ctrl-C often comes through a parent as well,
and who ends a process tree sends to all of it and to each."""


PEACE: Final = 5.0
"""Seconds that a command has for its last steps before it can be interrupted again."""


def interrupted(number: int, frame: FrameType | None) -> None:
    """Ends what is being done; what is left to do then has its peace."""
    if monotonic() - _raised[0] >= PEACE and is_another():
        _raised[0] = monotonic()
        raise KeyboardInterrupt


def is_interruption(error: BaseException) -> bool:
    """Whether ``error`` is an interruption, or was made of one on its way.

    Until Python 3.12 what passes through a ``__set_name__``, as in the making of a class, becomes
    a RuntimeError, and libraries have their own ways.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


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
    sys.unraisablehook = _unraisable


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Sends an interruption again that came to a finaliser, from where none can pass.

    Importing has such moments too: the lock of each module goes with a callback.
    """
    if what.exc_value is None or not is_interruption(what.exc_value):
        sys.__unraisablehook__(what)
        return
    import threading

    _raised[0], _last[0] = -PEACE, -ONCE
    threading.Timer(0.01, os.kill, (os.getpid(), SIGNALS[0])).start()


_raised = [-PEACE]
"""When a signal was last made an exception."""

_last = [-ONCE]
"""When the last signal was taken that was one by itself."""


def is_another() -> bool:
    """Whether a signal that comes now is not the last one again."""
    now = monotonic()
    if now - _last[0] < ONCE:
        return False
    _last[0] = now
    return True

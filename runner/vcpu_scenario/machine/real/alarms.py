"""``SIGALRM``, which bounds how long a vCPU runs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Final

_AGAIN: Final = 0.05
"""Seconds between later alarms, should the first have come before the vCPU ran."""


@contextlib.contextmanager
def caught() -> Iterator[None]:
    """Has an alarm end ``KVM_RUN`` and nothing else."""
    previous = signal.signal(signal.SIGALRM, _wake)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, previous)


def _wake(signum: int, frame: object) -> None:
    """Does nothing: that a signal came is what ends ``KVM_RUN``."""


@contextlib.contextmanager
def after(seconds: float) -> Iterator[None]:
    if seconds <= 0:
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

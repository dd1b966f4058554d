"""What a fuzzer's input did that none may do."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Final

_SECONDS: Final = 4.0
"""Processor time that an input may take."""
_MEMORY: Final = 1 << 30
"""Bytes by which an input may let this process grow."""


class Finding(Exception):
    """The input did what none may do; the message says what."""


def bounded(work: Callable[[], str]) -> str:
    """Runs ``work`` and holds it to the bounds of time and memory."""
    start, before = time.process_time(), _largest()
    word = work()
    spent, grown = time.process_time() - start, _largest() - before
    if spent > _SECONDS:
        raise Finding(f"{spent:.1f} seconds of processor time ({word})")
    if grown > _MEMORY:
        raise Finding(f"{grown >> 20} MiB of memory ({word})")
    return word


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

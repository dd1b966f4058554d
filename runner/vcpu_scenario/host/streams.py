"""The standard streams of a process, whoever closed them.

Imports next to nothing: it is needed where an interruption has left other modules half imported.
"""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` takes a while to import, and no signal is taken yet
    from typing import IO, Any


def occupy_standard_streams() -> None:
    """Gives standard streams that were closed to nowhere.

    A file that is opened later would get the number of one, and what is said would go there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115


def abandon(stream: IO[Any]) -> None:
    """Sends whatever Python still wants to flush at its exit nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)

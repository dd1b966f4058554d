"""The command as a process: its signals and its standard streams, before and after all else."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

from vcpu_scenario.host import signals

_INTERRUPTED = 2
_SELDOM = 20_000
"""Objects made between two looks for garbage: most of what a start makes, modules, stays."""


def main() -> int:
    """Runs this process's command line; returns the exit status."""
    try:
        gc.set_threshold(_SELDOM)
        occupy_standard_streams()
        signals.take()
        from vcpu_scenario.cli import main as command

        status = int(command())
    except BaseException as error:  # while modules were still being imported
        if not signals.is_interruption(error):
            raise
        status = _INTERRUPTED
        with contextlib.suppress(OSError):
            os.write(2, b"scenario: interrupted\n")
    signals.ignore()
    _drain()
    if status == _INTERRUPTED:
        # Python ends by SIGINT once a KeyboardInterrupt has passed through an exec(), as in the
        # making of a named tuple, whoever caught it.
        os._exit(status)
    return status


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


def _drain() -> None:
    """What cannot be written any more must not change the status that Python ends with."""
    from vcpu_scenario.cli.output import abandon

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            abandon(stream)

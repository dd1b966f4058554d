"""The command as a process: its signals and its standard streams, before and after all else."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

from vcpu_scenario.host import signals
from vcpu_scenario.host.streams import abandon, occupy_standard_streams

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


def _drain() -> None:
    """What cannot be written any more must not change the status that Python ends with."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            abandon(stream)

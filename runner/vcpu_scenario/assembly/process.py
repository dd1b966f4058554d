"""The process of an assembler: confined, and bounded in time, memory and output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

from vcpu_scenario.assembly import confinement
from vcpu_scenario.assembly.assembled import NoAssembler

SECONDS = 30.0
"""An assembler that takes longer is given up: an endless macro."""
MAX_OUTPUT = 64 << 20
"""Bytes of object code or of complaints."""
MAX_MEMORY = 1 << 30
"""Bytes of address space."""

TOO_LARGE = -getattr(signal, "SIGXFSZ", 0)
"""The status of what has written more than that."""


class _Process(subprocess.Popen[bytes]):
    """A process whose end is known at once, as Python has it from 3.15 on: before, a wait with a
    limit sleeps between two looks, in the end for longer than an assembler takes."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None and self.returncode is None and sys.platform == "linux":
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(self.pid)
                try:
                    ended = select.poll()
                    ended.register(handle, select.POLLIN)
                    ended.poll(max(timeout, 0) * 1000)
                    timeout = 0
                finally:
                    os.close(handle)
        return super().wait(timeout)


def run(command: list[str], text: str, place: str, complaints: int) -> int | None:
    """The status of the assembler ``command`` with ``text`` as its source, None where it did not
    end in time. It runs in the folder ``place`` and writes its ``complaints`` to that descriptor.

    Raises OSError where the program cannot be started.
    """
    with _started(command, complaints, place) as process:
        _limit(process.pid)
        try:
            process.communicate(text.encode("utf-8", "replace"), timeout=SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
            return None
        except BaseException:
            _kill(process)
            raise
    return process.returncode


def _started(command: list[str], complaints: int, place: str) -> subprocess.Popen[bytes]:
    """The assembler, waiting for its source; confined where the system can do that."""

    def start() -> subprocess.Popen[bytes]:
        return _Process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            cwd=place,
            env={**os.environ, "LC_ALL": "C", "TMPDIR": place},
            start_new_session=True,
        )

    if confinement.unavailable(command[0]):
        return start()
    try:
        return confinement.confined(confinement.files_of(command[0]), place, start)
    except confinement.NotConfined as why:
        raise NoAssembler(f"{command[0]} cannot be confined: {why}") from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The assembler and what it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _limit(pid: int) -> None:
    """A ``.space`` or ``.rept`` of a mistyped length must not fill the disk or the memory."""
    if sys.platform != "linux":
        return
    import resource

    limits = {
        resource.RLIMIT_FSIZE: MAX_OUTPUT,
        resource.RLIMIT_AS: MAX_MEMORY,
        resource.RLIMIT_CPU: int(SECONDS) + 1,
        resource.RLIMIT_CORE: 0,
    }
    # It waits for its source, so that it has done nothing yet.
    for limit, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # Already done, or a limit below ours.
            resource.prlimit(pid, limit, (most, most))

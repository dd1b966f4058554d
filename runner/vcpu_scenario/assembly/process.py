"""The process of an assembler: confined, and bounded in time, memory and output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

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


class Call:
    """An assembler at work on a text, in a folder of its own; both are gone behind the block.

    ``command`` gets where the object file is to be, ``-o FILE -``, and the text on its standard
    input. Raises OSError where the program cannot be started.
    """

    def __init__(self, command: Sequence[str], text: str) -> None:
        self._ending = contextlib.ExitStack()
        try:
            self._begin(command, text.encode("utf-8", "replace"))
        except BaseException:
            self.end()
            raise

    def _begin(self, command: Sequence[str], source: bytes) -> None:
        folder = self._ending.enter_context(tempfile.TemporaryDirectory(prefix="scenario-"))
        self._object, self._errors = Path(folder, "guest.o"), Path(folder, "errors")
        with self._errors.open("wb") as complaints:
            arguments = [*command, "-o", str(self._object), "-"]
            self._process = _started(arguments, complaints.fileno(), folder)
        self._ending.enter_context(self._process)
        self._ending.callback(_kill, self._process)
        _limit(self._process.pid)
        self._rest = _given(self._process, source)

    def status(self) -> int | None:
        """How it ended; None where it did not end in time."""
        try:
            if self._rest:
                self._process.communicate(self._rest, timeout=SECONDS)
            return self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def made(self) -> bytes | None:
        """The object file, if there is one."""
        return self._object.read_bytes() if self._object.exists() else None

    def complaints(self) -> str:
        """What it said, or the beginning of it."""
        with self._errors.open("rb") as errors:
            return errors.read(1 << 20).decode("utf-8", "replace")

    @property
    def ended(self) -> bool:
        """Whether it is at work no more, and nothing is left of its process."""
        return self._process.returncode is not None

    def end(self) -> None:
        """End it, if it is at work, and what it started."""
        self._ending.close()

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _given(process: subprocess.Popen[bytes], source: bytes) -> bytes:
    """Writes what a pipe takes of ``source`` at once, so that the assembler works before it is
    waited for; returns the rest."""
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    with contextlib.suppress(BrokenPipeError):
        source = source[os.write(process.stdin.fileno(), source) :]
    if not source:
        process.stdin.close()
    return source


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
    """The assembler and what it started; of one that has ended the number may be another's."""
    if process.returncode is not None:
        return
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

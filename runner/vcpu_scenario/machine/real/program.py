"""A program of one's own in the lab: carried into the guest, run there, its output carried back.

Standard library and records only: the guest runs it.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import time
import zlib
from typing import Any, Final

from msgspec import Struct

_HOME: Final = "/programs"
_PAUSE: Final = 0.005
"""Seconds between two looks whether it has ended."""

_MOST_OUTPUT: Final = 1 << 20
"""Bytes of output that are carried back, from the start."""

TIMED_OUT: Final = 124
"""The status of a program that was ended when its time was up, as ``timeout`` has it."""

NOT_EXECUTABLE: Final = 126
"""The status of a program that the kernel does not execute, as shells have it."""


class Program(Struct, frozen=True):
    """An executable for arm64 Linux, with all it needs in it: statically linked.

    ``data`` is the file; ``seconds`` is how long it may take.
    """

    name: str
    data: bytes
    arguments: tuple[str, ...] = ()
    seconds: float = 60.0


class Ended(Struct, frozen=True):
    """``status`` is the exit status, 128 and the signal's number for one that a signal ended;
    ``output`` is what it wrote to stdout and stderr."""

    status: int
    output: str


def dump_program(program: Program) -> str:
    """One line of JSON."""
    return json.dumps(
        {
            "name": program.name,
            "data": base64.b64encode(zlib.compress(program.data)).decode(),
            "arguments": program.arguments,
            "seconds": program.seconds,
        }
    )


def load_program(line: str) -> Program:
    """Raises ValueError where ``line`` is no program."""
    document = _object(line)
    try:
        data = zlib.decompress(base64.b64decode(document["data"], validate=True))
        arguments = tuple(map(str, document["arguments"]))
        return Program(str(document["name"]), data, arguments, float(document["seconds"]))
    except (LookupError, TypeError, zlib.error) as error:
        raise ValueError(f"not a program: {error}") from error


def dump_ended(ended: Ended) -> str:
    """One line of JSON."""
    return json.dumps({"status": ended.status, "output": ended.output})


def load_ended(line: str) -> Ended:
    """Raises ValueError where ``line`` does not say how a program ended."""
    document = _object(line)
    status, output = document.get("status"), document.get("output")
    if type(status) is not int or not isinstance(output, str):
        raise ValueError("not the end of a program")
    return Ended(status, output)


def _object(line: str) -> dict[str, Any]:
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def run(program: Program, home: str = _HOME) -> Ended:
    """Runs ``program`` in a folder of its own, which is empty, and waits for its end."""
    os.makedirs(home, exist_ok=True)
    path, output = f"{home}/program", f"{home}/output"
    with open(path, "wb") as file:
        file.write(program.data)
    os.chmod(path, 0o755)
    try:
        return _run(program, path, output)
    finally:
        for left in (path, output):
            if os.path.exists(left):
                os.unlink(left)


def _run(program: Program, path: str, output: str) -> Ended:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = (
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    )
    command = [program.name, *program.arguments]
    try:
        # A group of its own, which can be ended as a whole.
        pid = os.posix_spawn(path, command, {"PATH": "/"}, file_actions=files, setpgroup=0)
    except OSError as error:
        return Ended(NOT_EXECUTABLE, f"{program.name}: {_why_not(error)}\n")
    status = _wait(pid, program.seconds)
    with open(output, "rb") as file:
        text = file.read(_MOST_OUTPUT).decode(errors="replace")
    if status is None:
        return Ended(TIMED_OUT, f"{text}\n{program.name}: ended after {program.seconds:g} s\n")
    code = os.waitstatus_to_exitcode(status)
    return Ended(code if code >= 0 else 128 - code, text)


def _why_not(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "not an executable for arm64 Linux"
    if error.errno == errno.ENOENT:
        return "it is linked with libraries that the lab does not have: link it with -static"
    return error.strerror or str(error)


def _wait(pid: int, seconds: float) -> int | None:
    """The wait status; None where the time was up."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(_PAUSE)

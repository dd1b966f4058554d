"""A person before a debugger: types at a prompt, and ^C where nothing comes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

_PATIENCE: Final = 60.0
_QUIET: Final = 1.0
"""Seconds without a word after which a person types ^C."""


class Lost(Exception):
    """The debugger did not come back to its prompt."""


class Typed(NamedTuple):
    """What was typed at a prompt, and what came of it; ``^C`` in it where that was typed."""

    command: str
    shown: str


def typed(block: str, prompt: str) -> list[Typed]:
    """The commands of a transcript and what is shown of each."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith(prompt):
            found.append((line.removeprefix(prompt), []))
        else:
            found[-1][1].append(line)
    return [Typed(command, "\n".join(lines)) for command, lines in found]


class Person:
    """At a command's prompt; a context manager that leaves no process behind."""

    def __init__(self, command: list[str], prompt: str, folder: Path, env: dict[str, str]) -> None:
        self._prompt = prompt
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def read(self, *, interrupts: bool = False) -> str:
        """What comes up to the prompt; ``interrupts``: a ^C once nothing comes any more."""
        stdout = self._process.stdout
        assert stdout is not None
        came, end = b"", monotonic() + _PATIENCE
        while not came.endswith(self._prompt.encode()):
            if monotonic() > end:
                raise Lost(came.decode())
            if not select.select([stdout], [], [], _QUIET)[0]:
                if interrupts:
                    came += b"^C"
                    os.killpg(self._process.pid, signal.SIGINT)
                    interrupts = False
                continue
            part = os.read(stdout.fileno(), 65536)
            if not part:
                return came.decode()
            came += part
        return came.decode().removesuffix(self._prompt)

    def type(self, command: str, *, interrupts: bool = False) -> str:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(f"{command}\n".encode())
        stdin.flush()
        return self.read(interrupts=interrupts)

    def end(self) -> int:
        """Types the end of the input; the exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(_PATIENCE)

"""Follows a page as its reader would: writes its files, makes its changes, types its commands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

_END: Final = "\x1e"


class Step(NamedTuple):
    """A command of a console block with what it is shown to print."""

    command: str
    shown: str


def steps(content: str) -> list[Step]:
    """The commands of a console block: each begins with ``$ ``, its output follows."""
    found: list[tuple[str, list[str]]] = []
    for line in content.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [Step(command, "\n".join(lines)) for command, lines in found]


def block(done: Sequence[Step]) -> str:
    """A console block of these commands and their output."""
    return "".join(f"$ {step.command}\n{step.shown}{step.shown and chr(10)}" for step in done)


def timeless(output: str) -> str:
    """``output`` with the time that a run took left open."""
    return re.sub(r"=+( .*) in \d+\.\d\ds =+", r"=\1 in a moment =", output)


def agrees(shown: str, printed: str) -> bool:
    """Whether ``printed`` is what is ``shown``, in which a line ``...`` stands for any lines."""
    parts = re.split(r"(?m)^\.\.\.\n", f"{timeless(shown)}\n")
    pattern = r"(?:.*\n)*?".join(map(re.escape, parts))
    return re.fullmatch(pattern, f"{timeless(printed)}\n") is not None


def elided(shown: str, printed: str) -> str:
    """``printed``, cut as ``shown`` is: to as many lines before and after its ``...``."""
    if "..." not in shown.splitlines():
        return printed
    head, _, tail = shown.partition("...\n" if "...\n" in shown else "...")
    lines = printed.splitlines()
    last = len(tail.splitlines())
    kept = [*lines[: head.count("\n")], "...", *(lines[-last:] if last else [])]
    return "\n".join(kept)


def patched(text: str, diff: str) -> str:
    """``text`` with the change that ``diff`` shows: one run of lines, without places.

    Raises :class:`ValueError` unless the text has those lines exactly once.
    """
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    if text.count(before) != 1:
        raise ValueError(f"the file does not have these lines once:\n{before}")
    return text.replace(before, after)


class Shell:
    """A bash in which one command after the other is typed."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def type(self, command: str) -> tuple[str, int]:
        """What ``command`` prints, and its status."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{command}\nprintf '{_END}%d\\n' $?\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            text, end, status = line.partition(_END)
            lines.append(text)
            if end:
                return "".join(lines).rstrip("\n"), int(status)
        raise EOFError(f"the shell ended at: {command}")

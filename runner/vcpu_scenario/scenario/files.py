"""Files that a scenario names: within its own folder, and of a size that is meant."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vcpu_scenario.scenario.nodes import Scalar
from vcpu_scenario.scenario.scope import Problems
from vcpu_scenario.source import quoted

MAX_SCENARIO: Final = 1 << 20
MAX_CONTENTS: Final = 16 << 20
"""Of all files that a scenario names together."""


class Unreadable(Exception):
    """Why a file cannot be read, in words, and what may help."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; raises :class:`Unreadable`."""
    try:
        # A pipe would wait for its writer, and a device may act on being read.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unreadable("there is no such file", _near(path)) from None
    except (OSError, ValueError) as error:
        raise Unreadable(_reason(error)) from None
    try:
        _check(os.fstat(handle), limit)
        with open(handle, "rb", closefd=False) as opened:
            return opened.read(limit)
    except OSError as error:
        raise Unreadable(_reason(error)) from None
    finally:
        os.close(handle)


def _check(status: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is not a regular file")
    if status.st_size > limit:
        raise Unreadable(f"it has {status.st_size:,} bytes, and there is room for {limit:,}")


@dataclass(slots=True)
class Folder:
    """The folder of a scenario, which the files it names may not leave, through no link.

    A file is read once, whatever names it how often; all of them together are bounded.
    """

    path: Path
    problems: Problems
    _read: dict[str, bytes | Unreadable] = field(default_factory=dict)
    _left: int = MAX_CONTENTS

    def read(self, name: Scalar) -> bytes | None:
        """The contents of the file that ``name`` names; None, and a report, if it has none."""
        found = self._read.get(name.text)
        if found is None:
            found = self._read[name.text] = self._fetch(name.text)
        if isinstance(found, bytes):
            return found
        self.problems.add(
            f"cannot read the file {quoted(name.text)}: {found}",
            name.span,
            expected=f"a file in {self.path}/",
            help=found.help,
        )
        return None

    def _fetch(self, name: str) -> bytes | Unreadable:
        try:
            data = read_regular(self._within(name), self._left)
        except Unreadable as fault:
            return fault
        self._left -= len(data)
        return data

    def _within(self, name: str) -> Path:
        try:
            folder = self.path.resolve()
            wanted = (folder / name).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise Unreadable(_reason(error)) from None
        if not wanted.is_relative_to(folder):
            raise Unreadable("it is outside the scenario's folder")
        return wanted


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def _near(path: Path) -> str:
    from vcpu_scenario.source import did_you_mean

    try:
        names = [entry.name for entry in os.scandir(path.parent)][:1000]
    except OSError:
        return ""
    return did_you_mean(path.name, names)

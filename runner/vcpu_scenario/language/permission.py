"""Folders that scenarios may name files in, beside their own: nothing, unless whoever runs them
says so.

It is said once for all that is loaded from there on, by the command line or a caller in Python,
and never by a scenario.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, TypeAlias

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.reading import reason

StrPath: TypeAlias = "str | os.PathLike[str]"

_GRANTED: Final[ContextVar[tuple[Path, ...]]] = ContextVar("granted", default=())


def granted() -> tuple[Path, ...]:
    """The folders, all links on the way to them followed."""
    return _GRANTED.get()


def grant(folders: Iterable[StrPath]) -> None:
    """Adds to the folders, up to the end of the :func:`granting` around it.

    Raises :class:`~vcpu_scenario.errors.UsageError` for what is no folder.
    """
    found = [_folder(Path(folder)) for folder in folders]
    _GRANTED.set(tuple(dict.fromkeys((*granted(), *found))))


@contextmanager
def granting(folders: Iterable[StrPath] = ()) -> Iterator[None]:
    """What is granted in it ends with it, ``folders`` to begin with."""
    before = _GRANTED.set(granted())
    try:
        grant(folders)
        yield
    finally:
        _GRANTED.reset(before)


def _folder(path: Path) -> Path:
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"cannot allow the folder {printable(path)}: {reason(error)}") from None
    if not found.is_dir():
        raise UsageError(f"cannot allow {printable(path)}: it is not a folder")
    return found

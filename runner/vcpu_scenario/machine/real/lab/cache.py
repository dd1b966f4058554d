"""The folder that keeps kernels and the guest's userland, never with half an entry in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from vcpu_scenario.host.writing import make_lasting
from vcpu_scenario.machine.real.errors import LabError


def root() -> Path:
    """``$XDG_CACHE_HOME/vcpu-scenario/lab``; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vcpu-scenario" / "lab"


class Workspace(Struct, frozen=True):
    """``entry`` becomes the cache's entry, ``scratch`` goes whatever happens. Both are folders."""

    entry: Path
    scratch: Path


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Workspace]:
    """A place to make ``target`` in, which takes its place if the block ends well.

    Whatever else happens, ``target`` stays as it was. Others who want the same target wait; what
    a killed process left behind is cleared first. Raises :class:`LabError` where the file system
    refuses, as when the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            _clear_leftovers(target)
            folder = Path(tempfile.mkdtemp(prefix=f".{target.name}~", dir=target.parent))
            try:
                workspace = Workspace(folder / "entry", folder / "scratch")
                workspace.entry.mkdir()
                workspace.scratch.mkdir()
                yield workspace
                _put_in_place(workspace, target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise LabError(f"cannot write the cache at {target}: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    with (target.parent / f".{target.name}-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clear_leftovers(target: Path) -> None:
    for leftover in target.parent.glob(f".{target.name}~*"):
        if (replaced := leftover / "scratch" / _REPLACED).exists() and not target.exists():
            replaced.rename(target)  # it was killed between the two steps of the replacement
        shutil.rmtree(leftover, ignore_errors=True)


_REPLACED: Final = "replaced"


def _put_in_place(workspace: Workspace, target: Path) -> None:
    make_lasting(workspace.entry)
    if target.exists():
        target.rename(workspace.scratch / _REPLACED)
    workspace.entry.rename(target)

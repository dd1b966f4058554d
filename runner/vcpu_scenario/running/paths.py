"""Which scenarios the paths of a command line lead to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn
from warnings import warn

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.language.permission import granted
from vcpu_scenario.source import did_you_mean

SUFFIX = ".vcpu.yaml"
_SHORTER = ".vcpu.yml"


def find(paths: Sequence[str], complain: Callable[[str], None] = warn) -> list[tuple[Path, str]]:
    """(file, name in ids) of each scenario in ``paths``, each file once.

    A folder gives every ``*.vcpu.yaml`` below it, sorted, hidden folders and links to folders left
    out; ``complain`` receives a line for each of what may be missed. Raises :class:`UsageError` for
    a path that does not exist or that gives nothing where others do, and as :func:`check_within`.
    """
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise UsageError("\n".join(map(_missing, missing)))
    found: dict[Path, tuple[Path, str]] = {}
    idle: dict[Path, None] = {}
    for path in map(Path, paths):
        searched = path.is_dir()
        files = list(_below(path, complain)) if searched else [path]
        if not files:
            idle[path] = None
        folder = path if searched else path.parent
        allowed = (_identity(folder), *granted()) if searched else ()
        for file in files:
            real = _identity(file)
            if searched:
                _refuse_outside(file, real, allowed)
            found.setdefault(real, (file, _name(file, folder)))
    if found and idle:
        none = (f"no scenario (*{SUFFIX}) was found in {printable(path)}" for path in idle)
        raise UsageError("\n".join(none))
    return _distinct(list(found.values()))


def check_within(file: Path, folder: Path) -> None:
    """Raises :class:`UsageError` for a link, found in ``folder``, that leads out of it, and into
    none that is allowed: it may have come with the folder, and of a file with faults lines are
    shown."""
    _refuse_outside(file, _identity(file), (_identity(folder), *granted()))


def _refuse_outside(file: Path, real: Path, allowed: Iterable[Path]) -> None:
    if not any(map(real.is_relative_to, allowed)):
        raise UsageError(f"{printable(file)} is a link out of the folder; name it to use it")


def _distinct(files: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Files of one name in several folders that were named get their whole path as a name."""
    times = Counter(name for _, name in files)
    return [
        (file, name if times[name] == 1 else file.as_posix().removesuffix(SUFFIX))
        for file, name in files
    ]


def _missing(path: str) -> str:
    folder = os.path.dirname(path) or "."
    try:
        names = [entry.name for entry in os.scandir(folder)][:1000]
    except OSError:
        names = []
    guess = did_you_mean(os.path.basename(path.rstrip("/")), names)
    return f"no such file or folder: {printable(path)}" + (f"; {guess}" if guess else "")


def _below(folder: Path, complain: Callable[[str], None]) -> Iterator[Path]:
    # Not os.walk(), which calls itself for each folder in a folder.
    left = [str(folder)]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            _unreadable(error)
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        folders = [entry.path for entry in shown if entry.is_dir(follow_symlinks=False)]
        left += reversed(folders)
        for entry in shown:
            if (why := _passed_over(entry, folder)) is not None:
                complain(f"{printable(entry.path)} is passed over: {why}")
        yield from (
            Path(entry.path)
            for entry in shown
            if entry.name.endswith(SUFFIX) and not entry.is_dir()
        )


def _passed_over(entry: os.DirEntry[str], folder: Path) -> str | None:
    """Why ``entry``, met below ``folder``, gives no scenario where one may be expected of it."""
    if entry.is_dir():
        if entry.is_symlink() and not _comes_anyway(Path(entry.path), folder):
            return "it is a link to a folder; name it to use it"
    elif entry.name.endswith(_SHORTER):
        return f"the name of a scenario ends in {SUFFIX}"
    return None


def _comes_anyway(link: Path, folder: Path) -> bool:
    """Whether the folder that ``link`` leads to is met below ``folder`` as itself."""
    real, top = _identity(link), _identity(folder)
    if not real.is_relative_to(top):
        return False
    return not any(part.startswith(".") for part in real.relative_to(top).parts)


def _unreadable(error: OSError) -> NoReturn:
    raise UsageError(f"cannot read the folder {printable(error.filename)}: {error.strerror}")


def _identity(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError):
        return file.absolute()


def _name(file: Path, folder: Path) -> str:
    """The file relative to the current folder, so that ids are the same however it is named;
    elsewhere relative to ``folder``, the one that was named."""
    name = os.path.relpath(file)
    if name.startswith(os.pardir):
        name = os.path.relpath(file, folder)
    return Path(name).as_posix().removesuffix(SUFFIX)

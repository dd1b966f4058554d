"""Packages with what guests are made of, a firmware for example: fetched once and kept whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError, NotFetchedError
from vcpu_scenario.machine.real.lab import cache
from vcpu_scenario.machine.real.lab.apt import PrivateApt, Progress, announce, files_of

SUITES: Final = ("trixie", "trixie-security")
_NAME: Final = re.compile(r"[a-z][a-z0-9.+-]+")


class Kept(Struct, frozen=True):
    """A package on disk."""

    name: str
    version: str
    file: Path


def path(name: str) -> Kept:
    """The kept package of that name. Raises :class:`NotFetchedError` where it is not here, and
    :class:`LabError` for what no package is called."""
    folder = _folder(name)
    try:
        version = json.loads((folder / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        raise NotFetchedError(
            f"Debian's {name} is not here; get it with: scenario lab fetch {name}"
        ) from None
    return Kept(name, version, folder / "package.deb")


def fetch(
    name: str, mirror: str | None = None, *, update: bool = False, progress: Progress = announce
) -> Kept:
    """The newest version of a package, from the cache or from ``mirror`` or this machine's own.

    ``update`` fetches even if one is kept. Raises :class:`LabError`.
    """
    folder = _folder(name)
    if (folder / "package.json").exists() and not update:
        return path(name)
    with cache.replacing(folder) as work:
        apt = PrivateApt.updated(work.scratch / "apt", SUITES, mirror, progress)
        offered = apt.versions(re.escape(name))
        if not offered:
            where = ", ".join(SUITES)
            raise LabUnavailableError(f"no package {name} in {where}\n{apt.complaints}".rstrip())
        progress(f"downloading {name} {offered[0].version}")
        apt.download(offered[:1], work.scratch / "deb")[0].rename(work.entry / "package.deb")
        (work.entry / "package.json").write_text(json.dumps({"version": offered[0].version}))
    return path(name)


def read(name: str, member: str, limit: int) -> bytes:
    """The contents of a regular file of a kept package. Raises :class:`LabError`, also for one of
    more than ``limit`` bytes."""
    kept = path(name)
    for info, content in files_of(kept.file):
        if info.isreg() and info.name.removeprefix("./") == member:
            if len(content) > limit:
                raise LabError(f"{member} of {name} has more than {limit:,} bytes")
            return content
    raise LabError(f"Debian's {name} {kept.version} has no file {member}")


def _folder(name: str) -> Path:
    if not _NAME.fullmatch(name):  # with a path in it, it would lead out of the cache
        raise LabError(f"{name!r} is no name of a package")
    return cache.root() / "packages" / name

"""The guest's userland: Debian's Python and the libraries it needs, as one cpio archive."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path, PurePosixPath
from typing import Final

from vcpu_scenario.machine.real.errors import LabUnavailableError
from vcpu_scenario.machine.real.lab import cache
from vcpu_scenario.machine.real.lab.apt import Package, PrivateApt, Progress, announce, files_of
from vcpu_scenario.machine.real.lab.bytecode import compiled
from vcpu_scenario.machine.real.lab.cpio import Archive

SUITES: Final = ("bookworm", "bookworm-security")
INTERPRETER: Final = "usr/bin/python3"

_PACKAGES: Final = (
    "libc6",
    "libexpat1",
    "libffi8",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3.11-minimal",
    "zlib1g",
)
_STDLIB: Final = PurePosixPath("usr/lib/python3.11")
_EXTENSIONS: Final = ("_contextvars", "_ctypes", "_json", "_typing", "mmap", "termios")
_LIBRARIES: Final = (
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libexpat.so.1",
    "libffi.so.8",
    "libz.so.1",
    "libdl.so.2",
    "libpthread.so.0",
)
_PACKAGES_OF_STDLIB: Final = (
    "collections",
    "ctypes",
    "encodings",
    "importlib",
    "json",
    "logging",
    "re",
    "urllib",
)
"""The packages of the standard library that are taken along; of its plain modules, all are."""

_FORMAT: Final = 2
"""Raised when the archive's layout changes, so that one of an older layout is made again."""


def archive(mirror: str | None = None, *, progress: Progress = announce) -> Path:
    """The archive, from the cache or made of packages from ``mirror`` or this machine's own.

    Raises :class:`LabError`.
    """
    folder = cache.root() / "userland"
    made = folder / f"python3.11-{_magic()}-{_FORMAT}"
    if (made / "rootfs.cpio").exists():
        return made / "rootfs.cpio"
    with cache.replacing(made) as work:
        apt = PrivateApt.updated(work.scratch / "apt", SUITES, mirror, progress)
        packages = [_newest(apt, name) for name in _PACKAGES]
        progress("downloading the guest's Python")
        files = apt.download(packages, work.scratch / "packages")
        progress("making the guest's userland")
        (work.entry / "rootfs.cpio").write_bytes(_archive(files))
        versions = {package.name: package.version for package in packages}
        (work.entry / "packages.json").write_text(json.dumps(versions))
    return made / "rootfs.cpio"


def _newest(apt: PrivateApt, name: str) -> Package:
    versions = apt.versions(name.replace(".", r"\."))
    if not versions:
        raise LabUnavailableError(f"no package {name} in {', '.join(SUITES)}\n{apt.complaints}")
    return versions[0]


def _archive(packages: list[Path]) -> bytes:
    out = Archive()
    out.character_device("dev/console", 5, 1)
    out.symlink(INTERPRETER, "python3.11")
    for package in packages:
        for member, content in files_of(package):
            name = PurePosixPath(member.name)
            if not _wanted(name):
                continue
            if member.issym():
                out.symlink(str(name), member.linkname)
            elif member.isreg():
                out.file(str(name), content, executable=bool(member.mode & 0o100))
                if name.suffix == ".py" and (code := compiled(str(name), content)) is not None:
                    out.file(*code)
    return out.finish()


def _wanted(name: PurePosixPath) -> bool:
    if name.is_relative_to(_STDLIB):
        return _wanted_of_stdlib(name.relative_to(_STDLIB))
    return name == PurePosixPath("usr/bin/python3.11") or _is_library(name)


def _wanted_of_stdlib(name: PurePosixPath) -> bool:
    top = name.parts[0] if name.parts else ""
    if top == "lib-dynload":
        return name.name.split(".")[0] in _EXTENSIONS
    return name.suffix == ".py" and (len(name.parts) == 1 or top in _PACKAGES_OF_STDLIB)


def _is_library(name: PurePosixPath) -> bool:
    """A library by its soname, or the file with the full version that this is a link to."""
    return any(name.name == soname or name.name.startswith(soname + ".") for soname in _LIBRARIES)


def _magic() -> str:
    """Tells apart archives whose bytecode was compiled by different releases of Python."""
    return importlib.util.MAGIC_NUMBER.hex()

"""VMMs that the lab's guest carries: Debian's arm64 QEMU with its libraries, as a cpio archive."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from vcpu_scenario.machine.real.errors import LabError
from vcpu_scenario.machine.real.lab import cache
from vcpu_scenario.machine.real.lab.apt import PrivateApt, Progress, announce, files_of
from vcpu_scenario.machine.real.lab.cpio import Archive

CARRIED: Final[Mapping[str, tuple[str, ...]]] = {
    "qemu": ("trixie", "trixie-security"),
    "qemu-7.2": ("bookworm", "bookworm-security"),
}
"""VMM to the Debian suites that have it."""

HOME: Final = "vmm"
"""The folder in the guest that has one for each VMM, with ``lib`` for its libraries."""
_PACKAGE: Final = "qemu-system-arm"
_PROGRAM: Final = "qemu-system-aarch64"
_LIBRARY: Final = ".so"
_DYNAMIC: Final = ".dynamic"

_FORMAT: Final = 1
"""Raised when the archive's layout changes, so that one of an older layout is made again."""


def archive(vmm: str, mirror: str | None = None, *, progress: Progress = announce) -> Path:
    """The archive of a VMM in :data:`CARRIED`, from the cache or made of packages from ``mirror``
    or this machine's own.

    Raises :class:`LabError`.
    """
    made = cache.root() / "vmm" / f"{vmm}-{_FORMAT}"
    if (made / "vmm.cpio").exists():
        return made / "vmm.cpio"
    suites = CARRIED[vmm]
    with cache.replacing(made) as work:
        apt = PrivateApt.updated(work.scratch / "apt", suites, mirror, progress)
        packages = apt.needed_by(_PACKAGE)
        progress(f"downloading {_PACKAGE} of {suites[0]} and what it depends on")
        files = apt.download(packages, work.scratch / "packages")
        progress("making an archive of it")
        (work.entry / "vmm.cpio").write_bytes(_archive(vmm, files))
        versions = {package.name: package.version for package in packages}
        (work.entry / "packages.json").write_text(json.dumps(versions))
    return made / "vmm.cpio"


def _archive(vmm: str, packages: Iterable[Path]) -> bytes:
    found = _Files(packages)
    out = Archive()
    home = f"{HOME}/{vmm}"
    out.file(f"{home}/{_PROGRAM}", found.content(_PROGRAM), executable=True)
    for name in needed(_PROGRAM, found.content):
        out.file(f"{home}/lib/{name}", found.content(name), executable=True)
    return out.finish()


class _Files:
    """The program and the libraries of packages, by their names; links lead to what they are of."""

    def __init__(self, packages: Iterable[Path]) -> None:
        self._contents: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        for package in packages:
            for member, content in files_of(package):
                name = PurePosixPath(member.name).name
                if name != _PROGRAM and _LIBRARY not in name:
                    continue
                if member.issym():
                    self._links[name] = PurePosixPath(member.linkname).name
                elif member.isreg():
                    self._contents.setdefault(name, content)

    def content(self, name: str) -> bytes:
        """Raises :class:`LabError` where no package has it."""
        try:
            return self._contents[self._links.get(name, name)]
        except KeyError:
            raise LabError(f"no package that {_PACKAGE} depends on has {name}") from None


def needed(program: str, content: Callable[[str], bytes]) -> list[str]:
    """The libraries that ``program`` is linked with, and those that they are; ``content`` gives the
    ELF file of a name."""
    found: dict[str, None] = {}
    to_do = [program]
    while to_do:
        for name in _needed_by(content(to_do.pop())):
            if name not in found:
                found[name] = None
                to_do.append(name)
    return sorted(found)


def _needed_by(file: bytes) -> list[str]:
    try:
        section = ELFFile(io.BytesIO(file)).get_section_by_name(_DYNAMIC)
    except ELFError as error:
        raise LabError(f"a library is no ELF file: {error}") from None
    if not isinstance(section, DynamicSection):
        return []
    tags: Iterable[Any] = section.iter_tags("DT_NEEDED")  # whose attributes come from what they are
    return [tag.needed for tag in tags]

"""The kernels a lab boots: Debian's cloud-arm64 packages, fetched once and kept."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError, NotFetchedError
from vcpu_scenario.machine.real.lab import cache
from vcpu_scenario.machine.real.lab.apt import Package, PrivateApt, Progress, announce, files_of

CATALOGUE: Final[dict[str, tuple[str, ...]]] = {
    "5.10": ("bullseye",),
    "6.1": ("bookworm", "bookworm-security"),
    "6.12": ("trixie", "trixie-security"),
    "6.16": ("trixie-backports",),
    "6.17": ("trixie-backports",),
    "7.2": ("sid", "trixie-backports"),
}
"""Release of Linux to the Debian suites that carry it."""

_ELSEWHERE: Final = ("trixie-backports", "sid")
"""Where any other release is looked for."""

_PACKAGES: Final = r"linux-(image|binary)-\d\S*(?<!-unsigned)-cloud-arm64"
_IMAGES: Final = ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
_NAME: Final = re.compile(r"(?P<release>[0-9]+\.[0-9]+)(\.[0-9]+)?")
_TRIES: Final = 4
"""How many versions are tried where a mirror lists packages that it no longer holds."""


class Kernel(Struct, frozen=True):
    """A kernel on disk: ``version`` and ``package`` are Debian's, ``suite`` where it was sought."""

    name: str
    image: Path
    package: str
    version: str


class Listed(Struct, frozen=True):
    """A release the lab knows: the suites that have it, and the copy kept, if there is one."""

    name: str
    suites: tuple[str, ...]
    kept: Kernel | None


def list_kernels() -> list[Listed]:
    """The catalogue and whatever else is kept, oldest release first. Asks no mirror."""
    folder = cache.root() / "kernels"
    kept = {entry.parent.name for entry in folder.glob("*/kernel.json")}
    names = sorted({*CATALOGUE, *kept}, key=lambda name: [int(part) for part in name.split(".")])
    return [Listed(name, _suites(name), _kept(name)) for name in names]


def path(name: str) -> Kernel:
    """The kept kernel of that name. Raises :class:`NotFetchedError` where it is not here, and
    :class:`LabError` for what is no release."""
    kept = _kept(name)
    if kept is None:
        raise NotFetchedError(f"kernel {name} is not here; get it with: scenario lab fetch {name}")
    return kept


def fetch(
    name: str, mirror: str | None = None, *, update: bool = False, progress: Progress = announce
) -> Kernel:
    """The kernel, from the cache or from ``mirror`` or this machine's own Debian mirror.

    ``name`` is a release, of which the newest version is taken (``6.12``), or a version
    (``6.12.107``). ``update`` fetches even if one is kept. Raises :class:`LabError`.
    """
    kept = _kept(name)
    if kept is not None and not update:
        return kept
    suites = _suites(name)
    with cache.replacing(_folder(name)) as work:
        apt = PrivateApt.updated(work.scratch / "apt", suites, mirror, progress)
        package, image = _download(name, apt, work.scratch, progress)
        (work.entry / "vmlinuz").write_bytes(image)
        kernel = Kernel(name, Path("vmlinuz"), package.name, package.version)
        (work.entry / "kernel.json").write_text(json.dumps(asdict(kernel), default=str))
    return path(name)


def _download(
    name: str, apt: PrivateApt, scratch: Path, progress: Progress
) -> tuple[Package, bytes]:
    belongs = re.compile(re.escape(name) + r"(?![\d])(?!~rc)").match
    offered = [package for package in apt.versions(_PACKAGES) if belongs(package.version)]
    if not offered:
        where = ", ".join(_suites(name))
        raise LabUnavailableError(
            f"no package of Linux {name} for cloud-arm64 in {where}\n{apt.complaints}".rstrip()
        )
    refusals = []
    for package in _binaries_first(offered)[:_TRIES]:
        progress(f"downloading {package.name} {package.version}")
        try:
            files = apt.download([package], scratch / package.name)
        except LabError as error:
            refusals.append(str(error))
            continue
        image = _image_in(files[0])
        if image is not None:
            return package, image
        refusals.append(f"{package.name} {package.version} holds no kernel")
    raise LabUnavailableError("\n".join(refusals))


def _binaries_first(packages: list[Package]) -> list[Package]:
    """Newest first, and of one version the package that has the image since 7.x: linux-binary."""
    return sorted(
        packages,
        key=lambda package: (package.order, package.name.startswith("linux-binary")),
        reverse=True,
    )


def _image_in(package: Path) -> bytes | None:
    for member, content in files_of(package):
        name = member.name.removeprefix("./")
        if member.isreg() and any(fnmatch(name, pattern) for pattern in _IMAGES):
            return content
    return None


def _suites(name: str) -> tuple[str, ...]:
    return CATALOGUE.get(_release(name), _ELSEWHERE)


def _release(name: str) -> str:
    parsed = _NAME.fullmatch(name)
    if parsed is None:
        raise LabError(f"{name!r} is no release of Linux; say 6.12 or 6.12.107")
    return parsed["release"]


def _folder(name: str) -> Path:
    _release(name)  # A name with a path in it would lead out of the cache.
    return cache.root() / "kernels" / name


def _kept(name: str) -> Kernel | None:
    folder = _folder(name)
    try:
        kept = json.loads((folder / "kernel.json").read_text())
        return Kernel(name, folder / "vmlinuz", kept["package"], kept["version"])
    except (OSError, ValueError, KeyError):
        return None

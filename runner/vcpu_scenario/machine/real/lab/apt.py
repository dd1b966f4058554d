"""A private apt: its own lists, state and sources, nothing of this machine's packages touched.

The mirror and how to reach it (proxy, checks of dates) are the machine's own, unless a mirror is
given. apt checks every file against the signed indices, so nothing here checks digests again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError
from vcpu_scenario.machine.real.lab.process import bound_to_us

Progress = Callable[[str], None]
"""Takes a line on what is being done, which may take a while."""


def announce(text: str) -> None:
    """Writes to standard error, so that standard output has results alone."""
    print(text, file=sys.stderr, flush=True)


ARCHITECTURE: Final = "arm64"
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RELEASES: Final = (
    "bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable"
)
_SOURCE: Final = re.compile(r"'(?P<base>\S+?)/dists/(?P<suite>[^/\s]+)(/updates)?/InRelease'")
_TO_FETCH: Final = re.compile(r"^'\S+' (?P<name>[^_\s]+)_(?P<version>[^_\s]+)_\S+\.deb ", re.M)
"""A line of ``--print-uris``: where a package is, and its file with the version quoted as a URI."""
_SUITE: Final = re.compile(rf"({_RELEASES})(?P<kind>-security|-updates|-backports\S*)?$")


class Mirror(Struct, frozen=True):
    """Base addresses; ``security`` is None where only the main archive is known."""

    main: str
    security: str | None = None

    def of(self, suite: str) -> str | None:
        return self.security if suite.endswith("-security") else self.main


class Package(Struct, frozen=True):
    name: str
    version: str

    @property
    def order(self) -> tuple[int, ...]:
        """Orders versions of one release of Linux."""
        return tuple(map(int, re.findall(r"\d+", self.version)))


def machine_mirror() -> Mirror:
    """The Debian mirror of this machine's own apt sources.

    Raises :class:`LabUnavailableError` where there is no apt, or no Debian among its sources.
    """
    main = security = None
    for found in _SOURCE.finditer(_run([_tool("apt-get"), "update", "--print-uris"])):
        suite = _SUITE.match(found["suite"])
        if suite is None:
            continue
        if suite["kind"] == "-security":
            security = security or found["base"]
        else:
            main = main or found["base"]
    if main is None:
        raise LabUnavailableError(
            "this machine's apt sources name no Debian mirror; give one with --mirror URL"
        )
    return Mirror(main, security)


class PrivateApt:
    """apt for ``suites`` of the arm64 architecture, working in ``folder`` alone."""

    def __init__(self, folder: Path, suites: Sequence[str], mirror: Mirror) -> None:
        self._folder = folder
        self._configuration = folder / "apt.conf"
        self._complaints = ""
        for name in ("lists/partial", "cache/archives/partial", "state", "parts"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("".join(_sources(suites, mirror)))
        self._configuration.write_text(_configuration(folder) + _machine_acquire())

    @classmethod
    def updated(
        cls, folder: Path, suites: Sequence[str], mirror: str | None, progress: Progress
    ) -> PrivateApt:
        """One that has fetched the indices from ``mirror``, or this machine's own."""
        apt = cls(folder, suites, machine_mirror() if mirror is None else Mirror(mirror))
        progress(f"reading the package lists of {', '.join(suites)}")
        apt.update()
        return apt

    def update(self) -> None:
        """Fetches the indices. A suite that is gone counts only if its packages are missed."""
        done = self._apt(["apt-get", "--quiet", "update"], check=False)
        self._complaints = done.stderr.strip()

    def versions(self, pattern: str) -> list[Package]:
        """Every version of every package whose whole name matches the regular expression."""
        matches = re.compile(pattern).fullmatch
        names = [name for name in self._output(["apt-cache", "pkgnames"]).split() if matches(name)]
        if not names:
            return []
        rows = self._output(["apt-cache", "madison", *names]).splitlines()
        cells = (row.split("|") for row in rows)
        found = {Package(cell[0].strip(), cell[1].strip()) for cell in cells if len(cell) == 3}
        return sorted(found, key=lambda package: (package.order, package.name), reverse=True)

    def needed_by(self, name: str) -> list[Package]:
        """The package of that name and all that it depends on, however far. Raises
        :class:`LabError` where there is none."""
        asked = ["--quiet", "--print-uris", "--no-install-recommends", "--yes", "install", name]
        return [
            Package(unquote(found["name"]), unquote(found["version"]))
            for found in _TO_FETCH.finditer(self._output(["apt-get", *asked]))
        ]

    def download(self, packages: Sequence[Package], into: Path) -> list[Path]:
        """The packages' files. Raises :class:`LabError` with what apt said."""
        into.mkdir(parents=True, exist_ok=True)
        wanted = [f"{package.name}={package.version}" for package in packages]
        done = self._apt(["apt-get", "--quiet", "download", *wanted], check=False, cwd=into)
        if done.returncode:
            raise LabError(f"cannot download {' '.join(wanted)}:\n{_errors(done.stderr)}")
        return sorted(into.glob("*.deb"))

    @property
    def complaints(self) -> str:
        """What ``update`` said, for the message when something is missing."""
        return _errors(self._complaints)

    def _output(self, command: list[str]) -> str:
        return self._apt(command, check=True).stdout

    def _apt(
        self, command: list[str], *, check: bool, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "APT_CONFIG": str(self._configuration),
            "LC_ALL": "C",
        }
        done = subprocess.run(
            bound_to_us([_tool(command[0]), *command[1:]]),
            env=environment,
            cwd=cwd or self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise LabError(f"{' '.join(command[:2])} failed:\n{_errors(done.stderr)}")
        return done


def files_of(package: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The members of a ``.deb`` with their contents, empty for all but regular files."""
    command = [_tool("dpkg-deb"), "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as members:
                for member in members:
                    content = members.extractfile(member) if member.isreg() else None
                    yield member, content.read() if content is not None else b""
        except tarfile.TarError as error:
            raise LabError(f"cannot unpack {package.name}: {error}") from error
        finally:
            unpacking.kill()


def _sources(suites: Sequence[str], mirror: Mirror) -> Iterator[str]:
    for suite in suites:
        base = mirror.of(suite)
        if base is not None:
            options = f"arch={ARCHITECTURE} signed-by={_keyring()}"
            yield f"deb [{options}] {base} {suite} main\n"


def _keyring() -> Path:
    if not _KEYRING.exists():
        raise LabUnavailableError(f"no {_KEYRING}: install debian-archive-keyring")
    return _KEYRING


def _configuration(folder: Path) -> str:
    return f"""\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "{folder}/parts";
Dir::Etc::preferences "{folder}/parts/none";
Dir::Etc::preferencesparts "{folder}/parts";
Dir::Etc::main "{folder}/parts/none";
Dir::Etc::parts "{folder}/parts";
APT::Architecture "{ARCHITECTURE}";
APT::Architectures "{ARCHITECTURE}";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
"""


def _machine_acquire() -> str:
    """How this machine reaches its mirrors; without its hooks, or leave to go unsigned."""
    dump = _run([_tool("apt-config"), "--no-empty", "--format", '%F "%v";%n', "dump", "Acquire"])
    kept = re.compile(r"Acquire::(?!Allow|IndexTargets|Languages|GzipIndexes|Changelogs|cdrom)")
    return "".join(line + "\n" for line in dump.splitlines() if kept.match(line))


def _errors(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith(("E:", "W:", "Err"))]
    return "\n".join(lines) or text.strip()


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode:
        raise LabUnavailableError(f"{Path(command[0]).name} failed:\n{_errors(done.stderr)}")
    return done.stdout


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise LabUnavailableError(
            f"no {name} here to get Debian's packages with; "
            "give your own with --kernel-image and --initrd"
        )
    return found

"""A mirror of Debian that a test fills, and the labs of real kernels."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.machine.real.lab import Lab, LabOptions, list_kernels
from vcpu_scenario.machine.real.lab.kernels import CATALOGUE

from . import fake_apt


class Debian:
    """A mirror in a folder, and how this machine's apt names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages: list[dict[str, Any]] = []
        self.sources("bookworm", "bookworm-security")
        self._write()

    def sources(self, *suites: str) -> None:
        lines = []
        for suite in suites:
            archive = "debian-security" if suite.endswith("-security") else "debian"
            lines.append(f"'http://mirror/{archive}/dists/{suite}/InRelease' some_file 0")
            lines.append(f"'http://mirror/{archive}/dists/{suite}/main/Packages.xz' other 0")
        (self.folder / "sources").write_text("\n".join(lines))

    def has(self, name: str, version: str, *, gone: bool = False, **files: str) -> None:
        """A package; ``files`` name their paths with ``__`` for ``/``."""
        paths = {path.replace("__", "/"): content for path, content in files.items()}
        self.holds(name, version, paths, gone=gone)

    def holds(self, name: str, version: str, files: dict[str, str], *, gone: bool = False) -> None:
        self.packages.append({"name": name, "version": version, "files": files, "gone": gone})
        self._write()

    def _write(self) -> None:
        (self.folder / "packages.json").write_text(json.dumps(self.packages))

    def asked(self) -> list[dict[str, Any]]:
        """What apt-get was asked: words, configuration and sources each."""
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    """This machine with a Debian mirror, and a cache of its own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in fake_apt.TOOLS:
        script = tools / tool
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake_apt.__file__}" {tool} "$@"\n')
        script.chmod(0o755)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr("vcpu_scenario.machine.real.lab.apt._KEYRING", keyring)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_APT", str(mirror))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Debian(mirror)


def wanted() -> list[str]:
    named = os.environ.get("LAB_KERNELS", "5.10 7.2")
    return list(CATALOGUE) if named == "all" else named.replace(",", " ").split()


@pytest.fixture(scope="module", params=wanted())
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    kept = {entry.name for entry in list_kernels() if entry.kept is not None}
    if shutil.which(LabOptions().qemu) is None:
        pytest.skip("NO LAB: qemu-system-aarch64 is not installed")
    if request.param not in kept:
        pytest.skip(f"NO LAB: kernel {request.param} was not fetched")
    with Lab(request.param) as made:
        yield made

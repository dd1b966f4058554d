"""Hostile assembler texts, and proof that none of them has a file opened.

Each text goes three ways: as a scenario's code does, with and without the confinement of the
assembler, and raw into the confined assembler. The kernel (inotify) says whether anybody opened one
of the canaries; what they hold must be in no word and in no message either.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.assembly import confinement, process
from vcpu_scenario.assembly.assemble import AssemblerError, assemble_with
from vcpu_scenario.assembly.assemblers import Assembler, installed

from tests.fuzz.finding import Finding
from tests.fuzz.sources import source

_SECONDS: Final = 10.0
"""In which the assembler is given up."""
_IN_OPEN: Final = 0x20
CANARY: Final = "canary5e7d yellow singing"


class AssemblerTarget:
    """Hostile texts under each assembler there is, in turn."""

    def __init__(self, only: str = "") -> None:
        self.assemblers = [found for found in installed() if only in ("", found.name)]
        self.folder = Path(tempfile.mkdtemp(prefix="scenario-fuzz-"))
        self.paths = _canaries(self.folder)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = -1
        self._owner = 0

    def run(self, seed: int) -> str:
        if not self.assemblers:
            return "no assembler"
        self._watched()
        assembler = self.assemblers[seed % len(self.assemblers)]
        text = source(seed // len(self.assemblers), self.paths)
        return self.run_text(assembler, text)

    def run_text(self, assembler: Assembler, text: str) -> str:
        """Assembles ``text`` in all three ways."""
        self._watched()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder / "inside")
            patch.setattr(process, "SECONDS", _SECONDS)
            word = self._held(lambda: _assembled(assembler, text), "as code")
            if confinement.version():
                self._held(lambda: _raw(assembler, text), "raw, confined")
            patch.setattr(confinement, "version", lambda: 0)
            patch.setattr("vcpu_scenario.assembly.assemble._known", {})
            self._held(lambda: _assembled(assembler, text), "as code, not confined")
        return f"{assembler.name}: {word}"

    def _held(self, work: object, way: str) -> str:
        assert callable(work)
        start, most = _processor_time(), _most_memory()
        word, told = work()
        # Not what passed: the machine may be busy, and who waits is given up all the same.
        if (spent := _processor_time() - start) > _SECONDS * 2:
            raise Finding(f"{way}: {spent:.0f} seconds of processor time")
        if _most_memory() > max(most, process.MAX_MEMORY >> 10):
            raise Finding(f"{way}: more memory than there is to be")
        for part in CANARY.split():
            if part.encode() in told:
                raise Finding(f"{way}: the canary sings: {told[:200]!r}")
        if self._opened():
            raise Finding(f"{way}: a file was opened")
        return str(word)

    def _watched(self) -> None:
        if self._owner == os.getpid():
            return
        self._owner = os.getpid()
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in _real(self.folder):
            self._libc.inotify_add_watch(self._watch, os.fsencode(path), _IN_OPEN)

    def _opened(self) -> bool:
        try:
            return bool(os.read(self._watch, 1 << 16))
        except BlockingIOError:
            return False

    def artefact(self, seed: int) -> tuple[str, bytes]:
        text = source(seed // len(self.assemblers), self.paths)
        return ".s", text.encode(errors="surrogatepass")

    def close(self) -> None:
        shutil.rmtree(self.folder)


def _most_memory() -> int:
    """KiB of the largest process that was ever started here, by whatever test."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def _processor_time() -> float:
    """Seconds that this process and those that it started have had."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _assembled(assembler: Assembler, text: str) -> tuple[str, bytes]:
    try:
        made = assemble_with(assembler, text, 0x4000_0000)
    except AssemblerError as error:
        told = "\n".join(f"{p.line} {p.column} {p.message} {p.hint}" for p in error.problems)
        return "refused", told.encode(errors="replace")
    return "assembled", made.code + "\n".join(made.symbols).encode(errors="replace")


def _raw(assembler: Assembler, text: str) -> tuple[str, bytes]:
    output = assembler.run(text)
    told = "\n".join(f"{found.message} {found.hint}" for found in output.diagnostics)
    return "raw", (output.object or b"") + told.encode(errors="replace")


def _canaries(folder: Path) -> tuple[str, ...]:
    """Files that nobody may open, and names that lead to them."""
    (folder / "inside").mkdir()
    for path in _real(folder):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{CANARY}\n")
    (folder / "inside" / "link").symlink_to(folder / "outside" / "secret")
    (folder / "inside" / "folder").symlink_to(folder / "outside")
    return (
        str(folder / "outside" / "secret"),
        "../outside/secret",
        "link",
        "folder/secret",
        "secret.s",
        "./secret.s",
        str(folder / "inside" / "secret.s"),
        f"/proc/self/root{folder}/outside/secret",
        f"/proc/{os.getpid()}/cwd/secret.s",
        "/etc/hostname",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/stdin",
        "/dev/fd/0",
        "/dev/zero",
        "/dev/tty",
    )


def _real(folder: Path) -> tuple[Path, ...]:
    return folder / "outside" / "secret", folder / "inside" / "secret.s"

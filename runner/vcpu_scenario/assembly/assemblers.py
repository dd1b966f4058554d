"""The assemblers that can be had: how each is found, called, and read when it complains.

GNU as from binutils for AArch64, the ``as`` of an arm64 Linux host, clang, and the clang within
the ``ziglang`` wheel. ``SCENARIO_ASSEMBLER`` names one (``gnu``, ``native``, ``clang``,
``ziglang``); without it the first that is installed is taken, in this order.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vcpu_scenario.assembly import confinement
from vcpu_scenario.assembly.assembled import NoAssembler

VARIABLE = "SCENARIO_ASSEMBLER"
SECONDS = 30.0
"""An assembler that takes longer is given up: an endless macro."""
MAX_OUTPUT = 64 << 20
"""Bytes of object code or of complaints."""
MAX_MEMORY = 1 << 30
"""Bytes of address space."""

_TOO_LARGE = getattr(signal, "SIGXFSZ", 0)

_INSTALL = (
    "install one: `apt install binutils-aarch64-linux-gnu`, clang, "
    "or `pip install 'vcpu-scenario[assembler]'` (the ziglang wheel)"
)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """``line`` of the text given to the assembler, 0 if it named none; columns from 1."""

    line: int
    column: int | None
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """An ELF ``object``, or what is wrong."""

    object: bytes | None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Assembler:
    """``command`` reads source on stdin; ``architectures`` are tried until one is understood."""

    name: str
    command: tuple[str, ...]
    architectures: tuple[str, ...]
    read: Callable[[str], Iterator[Diagnostic]]

    @property
    def described(self) -> str:
        """Its name and program, and how it is kept from files that are not its own."""
        why = confinement.unavailable(self.command[0])
        how = f"not confined, only its source is checked: {why}" if why else "confined by Landlock"
        return f"{self.name} ({self.command[0]}), {how}"

    def run(self, text: str) -> Output:
        """Assemble ``text``. Raises :class:`NoAssembler` if the program cannot be run."""
        for architecture in self.architectures[_understood.get(self.command, 0) :]:
            output, complaint = self._call(architecture, text)
            if output.object is not None or not _unknown_architecture(complaint):
                _understood[self.command] = self.architectures.index(architecture)
                return output
        raise NoAssembler(f"{self.command[0]} is too old for AArch64: {complaint.strip()}")

    def _call(self, architecture: str, text: str) -> tuple[Output, str]:
        with tempfile.TemporaryDirectory(prefix="scenario-") as place:
            result, errors = Path(place, "guest.o"), Path(place, "errors")
            command = [*self.command, f"-march={architecture}", "-o", str(result), "-"]
            with errors.open("wb") as complaints:
                status = _run(command, text, place, complaints.fileno())
            with errors.open("rb") as complaints:
                complaint = complaints.read(1 << 20).decode("utf-8", "replace")
            found = list(self.read(complaint))
            if status == 0 and result.exists() and not found:
                return Output(result.read_bytes()), ""
        if status is None:
            found = [Diagnostic(0, None, f"{self.name} did not finish within {SECONDS:.0f} s")]
        elif status == -_TOO_LARGE:
            found = [Diagnostic(0, None, f"the code is larger than {MAX_OUTPUT >> 20} MiB")]
        if not found:
            last = (complaint.strip().splitlines() or ["no message"])[-1]
            found = [Diagnostic(0, None, f"{self.name} failed ({status}): {last}")]
        return Output(None, tuple(found)), complaint


_understood: dict[tuple[str, ...], int] = {}
"""By command, the first architecture it understands: finding out costs a call each time."""


def choose() -> Assembler:
    """The assembler to use. Raises :class:`NoAssembler`."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted and wanted not in _FINDERS:
        raise NoAssembler(f"{VARIABLE}={wanted} is not one of {', '.join(_FINDERS)}")
    for name, find in _FINDERS.items():
        if wanted in ("", name) and (assembler := find()) is not None:
            return assembler
    if wanted:
        raise NoAssembler(f"{VARIABLE}={wanted}, which is not installed: {_INSTALL}")
    raise NoAssembler(f"no assembler for AArch64 was found: {_INSTALL}")


def installed() -> list[Assembler]:
    """Every assembler that is at hand, in the order of preference."""
    return [found for find in _FINDERS.values() if (found := find()) is not None]


def _run(command: list[str], text: str, place: str, complaints: int) -> int | None:
    try:
        process = _started(command, complaints, place)
    except OSError as error:
        raise NoAssembler(f"{command[0]} cannot be run: {error.strerror}; {_INSTALL}") from None
    with process:
        _limit(process.pid)
        try:
            process.communicate(text.encode("utf-8", "replace"), timeout=SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
            return None
        except BaseException:
            _kill(process)
            raise
    return process.returncode


def _started(command: list[str], complaints: int, place: str) -> subprocess.Popen[bytes]:
    """The assembler, waiting for its source; confined where the system can do that."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            cwd=place,
            env={**os.environ, "LC_ALL": "C", "TMPDIR": place},
            start_new_session=True,
        )

    if confinement.unavailable(command[0]):
        return start()
    try:
        return confinement.confined(confinement.files_of(command[0]), place, start)
    except confinement.NotConfined as why:
        raise NoAssembler(f"{command[0]} cannot be confined: {why}") from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The assembler and what it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _limit(pid: int) -> None:
    """A ``.space`` or ``.rept`` of a mistyped length must not fill the disk or the memory."""
    if sys.platform != "linux":
        return
    import resource

    limits = {
        resource.RLIMIT_FSIZE: MAX_OUTPUT,
        resource.RLIMIT_AS: MAX_MEMORY,
        resource.RLIMIT_CPU: int(SECONDS) + 1,
        resource.RLIMIT_CORE: 0,
    }
    # It waits for its source, so that it has done nothing yet.
    for limit, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # Already done, or a limit below ours.
            resource.prlimit(pid, limit, (most, most))


def _unknown_architecture(complaint: str) -> bool:
    # Of a line alone: what LLVM says when it dies repeats its arguments.
    return any(
        "-march=" in line
        and re.search(r"error: .*(not support|unsupported|unknown|unrecognized)", line, re.I)
        for line in complaint.split("\n")
    )


_GNU = re.compile(r"^\{standard input\}:(?:(\d+):)? (Error|Fatal error|Warning|Info): ?(.*)$")
# GNU as goes on with other data than were written, where LLVM does not.
_GNU_FATAL = re.compile(r"truncated")


def _read_gnu(complaint: str) -> Iterator[Diagnostic]:
    pending: Diagnostic | None = None
    suggested = False
    for found in filter(None, map(_GNU.match, complaint.splitlines())):
        line, kind, message = int(found[1] or 0), found[2], found[3].strip()
        if kind == "Info":
            if suggested and pending and not pending.hint:
                hint = f"did you mean `{' '.join(message.split())}`?"
                pending = Diagnostic(pending.line, None, pending.message, hint)
            suggested = message == "did you mean this?"
            continue
        if pending:
            yield pending
            pending = None
        if kind == "Warning" and not _GNU_FATAL.search(message):
            continue
        # The statement it quotes is what the caret will be under.
        pending = Diagnostic(line, None, re.sub(r" -- `.*'$", "", message))
    if pending:
        yield pending


_LLVM = re.compile(r"^(<[^>]+>|-):(\d+):(\d+): (error|fatal error|note): (.*)$")


def _read_llvm(complaint: str) -> Iterator[Diagnostic]:
    in_macro = ""
    for found in filter(None, map(_LLVM.match, complaint.splitlines())):
        where, line, column, kind, message = found.groups()
        if kind == "note":
            if in_macro and message.startswith("while in macro") and where != "<instantiation>":
                yield Diagnostic(int(line), None, *_split_hint(in_macro))
                in_macro = ""
        elif where == "<instantiation>":
            in_macro = message
        else:
            yield Diagnostic(int(line), int(column), *_split_hint(message))


def _split_hint(message: str) -> tuple[str, str]:
    text, _, hint = message.partition(", did you mean: ")
    return text, f"did you mean {hint}" if hint else ""


def _gnu() -> Assembler | None:
    for triple in (
        "linux-gnu",
        "none-linux-gnu",
        "unknown-linux-gnu",
        "linux-musl",
        "none-elf",
        "elf",
    ):
        if program := shutil.which(f"aarch64-{triple}-as"):
            return Assembler("gnu", (program,), ("all",), _read_gnu)
    return None


def _native() -> Assembler | None:
    arm64_linux = platform.system() == "Linux" and platform.machine() in ("aarch64", "arm64")
    program = shutil.which("as") if arm64_linux else None
    return Assembler("native", (program,), ("all",), _read_gnu) if program else None


_LLVM_OPTIONS = (
    "--target=aarch64-linux-gnu",
    "-c",
    "-x",
    "assembler",
    "-w",
    "-fno-caret-diagnostics",
    "-fno-color-diagnostics",
)
# LLVM has no `-march=all`: what each generation of it can be asked for, newest first.
_LLVM_ARCHITECTURES = (
    "armv9.4-a+memtag+sve2+sve2-aes+sve2-sha3+sve2-sm4+sve2-bitperm+sme+rng+ls64+fp16+profile"
    "+brbe+tme+mops+crypto+the+d128+cssc+gcs+ite+rcpc3+predres2",
    "armv8.7-a+memtag+sve2+sve2-aes+rng+ls64+fp16+profile+tme+crypto+brbe+sme",
    "armv8.6-a+memtag+sve2+rng+fp16+profile+crypto",
    "armv8.5-a+memtag+fp16",
    "armv8.4-a+fp16",
)


def _clang() -> Assembler | None:
    for name in ("clang", *(f"clang-{version}" for version in range(30, 10, -1))):
        if program := shutil.which(name):
            return Assembler("clang", (program, *_LLVM_OPTIONS), _LLVM_ARCHITECTURES, _read_llvm)
    return None


def _ziglang() -> Assembler | None:
    # The wheel's program itself: `python -m ziglang` would start another interpreter first.
    package = importlib.util.find_spec("ziglang")
    for folder in (package.submodule_search_locations or []) if package else []:
        if program := shutil.which("zig", path=folder):
            command = (program, "clang", *_LLVM_OPTIONS)
            return Assembler("ziglang", command, _LLVM_ARCHITECTURES, _read_llvm)
    return None


_FINDERS: dict[str, Callable[[], Assembler | None]] = {
    "gnu": _gnu,
    "native": _native,
    "clang": _clang,
    "ziglang": _ziglang,
}

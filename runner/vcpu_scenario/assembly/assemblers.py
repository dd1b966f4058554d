"""The assemblers that can be had: how each is found and called.

GNU as from binutils for AArch64, the ``as`` of an arm64 Linux host, clang, and the clang within
the ``ziglang`` wheel. ``SCENARIO_ASSEMBLER`` names one (``gnu``, ``native``, ``clang``,
``ziglang``); without it the first that is installed is taken, in this order.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator

from msgspec import Struct

from vcpu_scenario.assembly import confinement, process
from vcpu_scenario.assembly.assembled import NoAssembler
from vcpu_scenario.assembly.complaints import Complaint, read_gnu, read_llvm, unknown_architecture

VARIABLE = "SCENARIO_ASSEMBLER"
_INSTALL = (
    "install one: `apt install binutils-aarch64-linux-gnu`, clang, "
    "or `pip install 'vcpu-scenario[assembler]'` (the ziglang wheel)"
)


class Output(Struct, frozen=True):
    """An ELF ``object``, or what is wrong; ``given_up`` where it took too long."""

    object: bytes | None
    diagnostics: tuple[Complaint, ...] = ()
    given_up: bool = False


class Assembler(Struct, frozen=True):
    """``command`` reads source on stdin; ``architectures`` are tried until one is understood."""

    name: str
    command: tuple[str, ...]
    architectures: tuple[str, ...]
    read: Callable[[str], Iterator[Complaint]]

    @property
    def described(self) -> str:
        """Its name and program, and how it is kept from files that are not its own."""
        why = confinement.unavailable(self.command[0])
        how = f"not confined, only its source is checked: {why}" if why else "confined by Landlock"
        return f"{self.name} ({self.command[0]}), {how}"

    def run(self, text: str, begun: process.Call | None = None) -> Output:
        """Assemble ``text``, or wait for the call that :meth:`begin` made of it. Raises
        :class:`NoAssembler` if the program cannot be run."""
        for architecture in self.architectures[_understood.get(self.command, 0) :]:
            with begun or self._call(architecture, text) as call:
                output, complaint = self._outcome(call)
            begun = None
            if output.object is not None or not unknown_architecture(complaint):
                _understood[self.command] = self.architectures.index(architecture)
                return output
        raise NoAssembler(f"{self.command[0]} is too old for AArch64: {complaint.strip()}")

    def begin(self, text: str) -> process.Call:
        """A call of which the first architecture is asked that may be understood."""
        return self._call(self.architectures[_understood.get(self.command, 0)], text)

    def _call(self, architecture: str, text: str) -> process.Call:
        try:
            return process.Call((*self.command, f"-march={architecture}"), text)
        except OSError as error:
            raise NoAssembler(
                f"{self.command[0]} cannot be run: {error.strerror}; {_INSTALL}"
            ) from None

    def _outcome(self, call: process.Call) -> tuple[Output, str]:
        status, complaint = call.status(), call.complaints()
        found = list(self.read(complaint))
        made = call.made()
        if status == 0 and made is not None and not found:
            return Output(made), ""
        if status is None:
            found = [
                Complaint(0, None, f"{self.name} did not finish within {process.SECONDS:.0f} s")
            ]
        elif status == process.TOO_LARGE:
            found = [Complaint(0, None, f"the code is larger than {process.MAX_OUTPUT >> 20} MiB")]
        if not found:
            last = (complaint.strip().splitlines() or ["no message"])[-1]
            found = [Complaint(0, None, f"{self.name} failed ({status}): {last}")]
        return Output(None, tuple(found), status is None), complaint


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
            return Assembler("gnu", (program,), ("all",), read_gnu)
    return None


def _native() -> Assembler | None:
    arm64_linux = platform.system() == "Linux" and platform.machine() in ("aarch64", "arm64")
    program = shutil.which("as") if arm64_linux else None
    return Assembler("native", (program,), ("all",), read_gnu) if program else None


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
            return Assembler("clang", (program, *_LLVM_OPTIONS), _LLVM_ARCHITECTURES, read_llvm)
    return None


def _ziglang() -> Assembler | None:
    # The wheel's program itself: `python -m ziglang` would start another interpreter first.
    package = importlib.util.find_spec("ziglang")
    for folder in (package.submodule_search_locations or []) if package else []:
        if program := shutil.which("zig", path=folder):
            command = (program, "clang", *_LLVM_OPTIONS)
            return Assembler("ziglang", command, _LLVM_ARCHITECTURES, read_llvm)
    return None


_FINDERS: dict[str, Callable[[], Assembler | None]] = {
    "gnu": _gnu,
    "native": _native,
    "clang": _clang,
    "ziglang": _ziglang,
}

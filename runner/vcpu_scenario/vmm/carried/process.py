"""The VMM's process in the lab's guest: started with a guest to load, ended with the session."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from vcpu_scenario.case import Case
from vcpu_scenario.vmm.carried import virt
from vcpu_scenario.vmm.carried.image import executable
from vcpu_scenario.vmm.carried.wire import Gone, Wire

HOME: Final = "/vmm"
"""The folder in the guest with a folder for each VMM."""
_FOLDER: Final = "/session"
LOADER: Final = "ld-linux-aarch64.so.1"
PROGRAM: Final = "qemu-system-aarch64"
LIBRARIES: Final = "lib"

_START: Final = 60.0
"""Seconds for it to start and listen."""


def _command(vmm: str) -> list[str]:
    home = f"{HOME}/{vmm}"
    libraries = f"{home}/{LIBRARIES}"
    return [f"{libraries}/{LOADER}", "--library-path", libraries, f"{home}/{PROGRAM}"]


@cache
def version(vmm: str) -> str:
    """``QEMU emulator version 7.2.22 (Debian ...)``, of which the number."""
    said = subprocess.run([*_command(vmm), "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\S+)", said)
    return found[1] if found else said.strip()


@contextmanager
def own_folder() -> Iterator[str]:
    """One that is empty, and gone afterwards."""
    os.makedirs(_FOLDER)
    try:
        yield _FOLDER
    finally:
        for name in os.listdir(_FOLDER):
            os.unlink(f"{_FOLDER}/{name}")
        os.rmdir(_FOLDER)


@contextmanager
def started(case: Case, vmm: str, folder: str) -> Iterator[Wire]:
    """A wire to the VMM, which has the case's guest loaded and stopped; it is killed at the end of
    the block. Raises :class:`Gone` with its last words."""
    image, gdb, serial, words = (f"{folder}/{name}" for name in ("image", "gdb", "serial", "words"))
    entry = dict(case.regs).get("pc", case.loads[0].addr if case.loads else virt.RAM)
    with open(image, "wb") as file:
        file.write(executable(case.loads, entry))
    command = [*_command(vmm), *virt.arguments(case, image, gdb, serial)]
    with open(words, "wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        wire = Wire(gdb, _START)
        try:
            yield wire
        finally:
            wire.close()
    except Gone as gone:
        raise Gone(f"{vmm}: {gone}; {_tail(words)}") from None
    finally:
        process.kill()
        process.wait()


def _tail(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()[-500:].strip()

"""What a lab boots into: a userland, the part of this project that needs the standard
library and records alone, and the agent as init."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vcpu_scenario.host.package import FOLDER
from vcpu_scenario.machine.real.lab.bytecode import compiled
from vcpu_scenario.machine.real.lab.cpio import Archive
from vcpu_scenario.machine.real.lab.userland import INTERPRETER

HOME: Final = "lab"
"""The folder in the guest that holds the project's code."""

_TAKEN: Final = (
    "__init__.py",
    "case.py",
    "ioctls/*.py",
    "trace.py",
    "actions/*.py",
    "arm64/__init__.py",
    "arm64/esr.py",
    "arm64/mmioregisters.py",
    "arm64/sysregs.py",
    "host/__init__.py",
    "host/package.py",
    "interchange/*.py",
    "course.py",
    "survey.py",
    "kvm/*.py",
    "vmm/*.py",
    "vmm/carried/*.py",
    "vmm/vmms/*.py",
    "machine/__init__.py",
    "machine/errors.py",
    "machine/interface.py",
    "machine/real/*.py",
)
_LIBRARIES: Final = FOLDER / "machine/real/lab/guestlib"
_INIT: Final = f"""\
import sys
sys.path.insert(0, "/{HOME}")
from vcpu_scenario.vmm.agent import main
main()
"""

COMMAND: Final = f"rdinit=/{INTERPRETER} -- -ISB /{HOME}/init.py"
"""The end of the kernel's command line: what is behind ``--`` goes to init."""


def initramfs(userland: Path, *more: Path) -> bytes:
    """``userland`` and ``more`` archives with the agent behind them; Linux unpacks archives that
    follow each other."""
    parts = [path.read_bytes() for path in (userland, *more)]
    return b"".join(part + bytes(-len(part) % 4) for part in parts) + _agent()


def _agent() -> bytes:
    out = Archive()
    out.file(f"{HOME}/init.py", _INIT.encode())
    for name, source in _modules():
        content = source.read_bytes()
        out.file(name, content)
        if (code := compiled(name, content)) is not None:
            out.file(*code)
    return out.finish()


def _modules() -> Iterator[tuple[str, Path]]:
    """(name in the guest, file) of each."""
    for pattern in _TAKEN:
        for source in sorted(FOLDER.glob(pattern)):
            yield f"{HOME}/vcpu_scenario/{source.relative_to(FOLDER).as_posix()}", source
    for source in sorted(_LIBRARIES.glob("*/*.py")):
        yield f"{HOME}/{source.relative_to(_LIBRARIES).as_posix()}", source

"""What a lab boots into: a userland, this project's stdlib-only part, and the agent as init."""

from __future__ import annotations

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
    for pattern in _TAKEN:
        for source in sorted(FOLDER.glob(pattern)):
            name = f"{HOME}/vcpu_scenario/{source.relative_to(FOLDER).as_posix()}"
            content = source.read_bytes()
            out.file(name, content)
            if (code := compiled(name, content)) is not None:
                out.file(*code)
    return out.finish()

"""The tracers that a lab's guest is lent: Debian's strace and trace-cmd for arm64."""

from __future__ import annotations

import base64
import io
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Final

from vcpu_scenario.machine.real.lab.apt import PrivateApt, files_of, machine_mirror
from vcpu_scenario.machine.real.lab.userland import SUITES

_PACKAGES: Final = (
    "strace",
    "libunwind8",
    "liblzma5",
    "trace-cmd",
    "libtraceevent1",
    "libtraceevent1-plugin",
    "libtracefs1",
    "libzstd1",
)


def tools() -> str:
    """A tar file of them and of their libraries, packed for the guest."""
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(fileobj=out, mode="w") as archive:
        apt = PrivateApt(Path(scratch, "apt"), SUITES, machine_mirror())
        apt.update()
        packages = [apt.versions(name)[0] for name in _PACKAGES]
        for package in apt.download(packages, Path(scratch, "packages")):
            for member, content in files_of(package):
                if "/bin/" in member.name or ".so" in member.name:
                    archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return base64.b64encode(zlib.compress(out.getvalue(), 9)).decode()

"""The kernel's own tests of KVM, from the source that Debian packages, and what builds with them.

The package is fetched once, as the lab fetches kernels; what is kept of it is the harness, built.
``python -m tests.export.kernelsource`` does that where it can be done.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vcpu_scenario.export.c import program
from vcpu_scenario.export.styles import SELFTEST
from vcpu_scenario.export.subject import Subject
from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError
from vcpu_scenario.machine.real.lab import cache
from vcpu_scenario.machine.real.lab.apt import PrivateApt, announce, machine_mirror

from .conftest import COMPILER

PACKAGE = "linux-source-6.12"
_SUITES = ("trixie", "trixie-security")
_TESTS = Path("tools/testing/selftests/kvm")
_FOLDER = "aarch64"
"""Where tests of arm64 are, up to 6.13."""

_PARTS = (
    "tools/testing/selftests/kvm",
    "tools/testing/selftests/rseq",
    "tools/testing/selftests/kselftest.h",
    "tools/testing/selftests/kselftest_harness.h",
    "tools/testing/selftests/lib.mk",
    "tools/include",
    "tools/arch/arm64",
    "tools/build",
    "tools/lib/rbtree.c",
    "tools/scripts",
    "scripts/subarch.include",
    "include/uapi",
    "arch/arm64/include/uapi",
    "arch/arm64/tools",
)


def tree() -> Path:
    """The part of the source that the tests need, with the harness built.

    Raises :class:`~vcpu_scenario.machine.real.lab.LabError` where it cannot be had.
    """
    kept = cache.root() / "source" / f"{PACKAGE}-selftests"
    if kept.exists():
        return kept
    for tool in ("make", "xz", COMPILER):
        if shutil.which(tool) is None:
            raise LabUnavailableError(f"no {tool} here to build the kernel's selftests with")
    with cache.replacing(kept) as work:
        apt = PrivateApt(work.scratch / "apt", _SUITES, machine_mirror())
        apt.update()
        found = apt.versions(PACKAGE.replace(".", r"\."))
        if not found:
            raise LabUnavailableError(f"no package {PACKAGE} in {', '.join(_SUITES)}")
        announce(f"downloading {PACKAGE} {found[0].version}")
        (package,) = apt.download(found[:1], work.scratch / "package")
        _unpack(package, work.entry)
        _make(work.entry, [f"{_FOLDER}/psci_test"])
        for dependencies in work.entry.rglob("*.d"):
            dependencies.unlink()  # they name files where they were built
    return kept


def _unpack(package: Path, into: Path) -> None:
    archive = f"./usr/src/{PACKAGE}.tar.xz"
    wanted = " ".join(f"'{PACKAGE}/{part}'" for part in _PARTS)
    command = (
        f"dpkg-deb --fsys-tarfile '{package}' | tar -xO '{archive}'"
        f" | tar -xJ --strip-components=1 {wanted}"
    )
    subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=into, check=True)


def _make(source: Path, programs: Sequence[str], *, flags: str = "") -> None:
    source = source.resolve()
    headers = [
        f"-I{source / folder}"
        for folder in (
            "tools/include/uapi",
            "tools/arch/arm64/include/uapi",
            "arch/arm64/include/uapi",
            "include/uapi",
        )
    ]
    command = [
        "make",
        "-s",
        "-j2",
        "ARCH=arm64",
        f"CROSS_COMPILE={COMPILER.removesuffix('gcc')}",
        "LDFLAGS=-static",
        "LDLIBS=",
        f"EXTRA_CFLAGS={' '.join([*headers, flags])}",
        *(str(source / _TESTS / program) for program in programs),
    ]
    done = subprocess.run(command, cwd=source / _TESTS, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"the kernel's selftests do not build:\n{done.stderr[-2000:]}")


def built(subjects: Sequence[Subject], folder: Path) -> list[bytes]:
    """The tests of ``subjects``, built by the kernel's Makefile with a line for each; a warning
    fails. ``folder`` is scratch."""
    source = folder / "linux"
    shutil.copytree(tree(), source, symlinks=True)
    names = [f"{_FOLDER}/{subject.file_name}" for subject in subjects]
    makefile = source / _TESTS / "Makefile"
    line = f"TEST_GEN_PROGS_{_FOLDER} += "
    text = makefile.read_text()
    added = "".join(f"{line}{name}\n" for name in names)
    makefile.write_text(text.replace(line, added + line, 1))
    for name, subject in zip(names, subjects, strict=True):
        (source / _TESTS / f"{name}.c").write_text(program(subject, style=SELFTEST))
    _make(source, names, flags="-Werror")
    return [(source / _TESTS / name).read_bytes() for name in names]


def of_the_kernel(names: Sequence[str], folder: Path) -> dict[str, bytes]:
    """Of the kernel's own tests those that this source has. ``folder`` is scratch."""
    source = folder / "linux"
    shutil.copytree(tree(), source, symlinks=True)
    programs = {}
    for name in names:
        split = (source / _TESTS / f"{name}.c").exists()
        if split or (source / _TESTS / _FOLDER / f"{name}.c").exists():
            programs[name] = name if split else f"{_FOLDER}/{name}"
    _make(source, list(programs.values()))
    return {name: (source / _TESTS / path).read_bytes() for name, path in programs.items()}


if __name__ == "__main__":
    with suppress(LabError):  # whoever needs it says so
        tree()

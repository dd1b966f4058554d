"""``scenario lab``: the kernels that a lab boots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vcpu_scenario.cli.machines import LabArguments, failing
from vcpu_scenario.cli.output import complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.reading import Unreadable, read_regular

if TYPE_CHECKING:
    from vcpu_scenario.machine.real.lab.qemu import GicVersion

_MOST_PROGRAM: Final = 8 << 20
"""Bytes of a program: what fits into the lab's mailbox."""


def list_kernels() -> Status:
    """A line for each kernel: its name, the package that is kept, where it comes from."""
    from vcpu_scenario.machine.real.lab import kernels

    for listed in kernels.list_kernels():
        kept = f"{listed.kept.package} {listed.kept.version}" if listed.kept else "not fetched"
        say(f"{listed.name:<9} {kept:<55} {', '.join(listed.suites)}\n")
    return Status.OK


def fetch(names: Sequence[str], mirror: str | None, *, update: bool) -> Status:
    """Gets kernels, by default all that are known, what a lab's guest needs beside them, and the
    packages and VMMs that are named."""
    from vcpu_scenario.machine.real.lab import carried, kernels, packages, userland

    with failing():
        wanted = names or list(kernels.CATALOGUE)
        releases = [name for name in wanted if name[:1].isdigit()]
        for name in wanted:
            if name in carried.CARRIED:
                say(f"{name}: {carried.archive(name, mirror, progress=complain)}\n")
            elif name not in releases:
                package = packages.fetch(name, mirror, update=update, progress=complain)
                say(f"{package.name} {package.version}\n")
        for name in releases:
            kernel = kernels.fetch(name, mirror, update=update, progress=complain)
            say(f"{name}: {kernel.package} {kernel.version}\n")
        if releases:
            userland.archive(mirror, progress=complain)
    return Status.OK


def path(name: str) -> Status:
    """Prints where the image of a kernel that was fetched is."""
    from vcpu_scenario.machine.real.lab import kernels

    with failing():
        say(f"{kernels.path(name).image}\n")
    return Status.OK


def run(
    kernel: str, files: Sequence[str], gic: GicVersion, seconds: float, options: LabArguments
) -> Status:
    """Runs each program in one boot of ``kernel``, and prints its output and how it ended.

    A program that ends with 4, as kernel selftests that skip do, does not fail.
    """
    from vcpu_scenario.machine.real.lab import Ended, Lab, Lost, Program

    programs = [Program(Path(name).name, _read(name), (), seconds) for name in files]
    status = Status.OK
    with failing(), Lab(kernel, options.options(), progress=complain) as lab:
        for program in programs:
            found = lab.execute(program, gic)
            if isinstance(found, Ended):
                if found.output:
                    say(found.output)
                said = {0: "pass", _SKIP: "skip"}.get(found.status, f"fail, status {found.status}")
            else:
                if isinstance(found, Lost) and found.console:
                    complain(found.console)
                said = f"lost: {found.reason}"
            say(f"{program.name}: {said}\n")
            if not isinstance(found, Ended) or found.status not in (0, _SKIP):
                status = Status.MISMATCH
    return status


_SKIP: Final = 4
"""``KSFT_SKIP``."""


def _read(name: str) -> bytes:
    try:
        return read_regular(Path(name), _MOST_PROGRAM)
    except Unreadable as fault:
        raise UsageError(f"cannot read {name}: {fault}") from None

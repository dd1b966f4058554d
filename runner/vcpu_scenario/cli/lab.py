"""``scenario lab``: the kernels that a lab boots."""

from __future__ import annotations

from collections.abc import Sequence

from vcpu_scenario.cli.machines import failing
from vcpu_scenario.cli.output import complain, say
from vcpu_scenario.cli.status import Status


def list_kernels() -> Status:
    """A line for each kernel: its name, the package that is kept, where it comes from."""
    from vcpu_scenario.machine.real.lab import kernels

    for listed in kernels.list_kernels():
        kept = f"{listed.kept.package} {listed.kept.version}" if listed.kept else "not fetched"
        say(f"{listed.name:<9} {kept:<55} {', '.join(listed.suites)}\n")
    return Status.OK


def fetch(names: Sequence[str], mirror: str | None, *, update: bool) -> Status:
    """Gets kernels, by default all that are known, and what a lab's guest needs beside them."""
    from vcpu_scenario.machine.real.lab import kernels, userland

    with failing():
        for name in names or list(kernels.CATALOGUE):
            kernel = kernels.fetch(name, mirror, update=update, progress=complain)
            say(f"{name}: {kernel.package} {kernel.version}\n")
        userland.archive(mirror, progress=complain)
    return Status.OK


def path(name: str) -> Status:
    """Prints where the image of a kernel that was fetched is."""
    from vcpu_scenario.machine.real.lab import kernels

    with failing():
        say(f"{kernels.path(name).image}\n")
    return Status.OK

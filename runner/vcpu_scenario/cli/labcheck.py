"""``scenario lab check``: what a kernel does otherwise than the newest release that is known."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from vcpu_scenario.cli.interrupt import UntilAsked
from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.machines import LabArguments, failing, machine
from vcpu_scenario.cli.output import complain, destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.analysis.changes.records import Asked, Found
    from vcpu_scenario.report.styled import Line
    from vcpu_scenario.running.targets import Target

PROGRAMS_CPU: Final = "cortex-a72"
"""KVM from 6.16 on has a workaround for the Cortex-A57 under which, in QEMU 7.2, a guest's MMIO
with stage 1 on never comes back: random programs do that."""
_SHIPPED: Final = Path(__file__).resolve().parents[3] / "scenarios"
_TOLD_EVERY: Final = 15.0
"""Seconds between two lines about how far it is."""


class Request(Struct, frozen=True):
    """What the command line says. ``against`` is a release, empty for the newest known; without
    ``paths`` it is about the scenarios that ship."""

    kernel: str
    paths: Sequence[str]
    recorded: Sequence[str]
    against: str
    programs: int
    seed: int
    output: str | None
    hosts: Sequence[str] = ()


def check(request: Request, lab: LabArguments) -> Status:
    """Asks the kernel in the lab and the model of a release the same, and tells what differs."""
    with destination(request.output) as to:
        release = request.against or KNOWN_RELEASES[-1]
        asked = _asked(request, release)
        found, left, itself = _found(request, release, asked, lab)
        to.write(to.painted(_told(itself, release, found)))
    if left:
        complain(f"interrupted: {left} were not asked")
        return Status.INTERRUPTED
    if any(each.state in ("differs", "lost") for each in found):
        return Status.MISMATCH
    return Status.OK if any(each.state == "same" for each in found) else Status.NOTHING_SELECTED


def _asked(request: Request, release: str) -> list[Asked]:
    """The scenarios and recorded jobs."""
    from vcpu_scenario.analysis.changes.records import Asked

    scenarios = scenarios_of(request.paths or [_shipped()], "nothing was asked")
    cases = Selection((release,), complain=complain).cases(scenarios)
    found = [
        Asked("scenarios", case.id, case.case) for case in cases if case.expectation is not None
    ]
    return [*found, *_jobs(request.recorded)]


def _shipped() -> str:
    """The folder with the scenarios of this project."""
    if not _SHIPPED.is_dir():
        raise UsageError(
            "the scenarios that ship are not part of the package: name a folder of them, PATH"
        )
    return os.path.relpath(_SHIPPED)


def _jobs(paths: Sequence[str]) -> Iterator[Asked]:
    from vcpu_scenario.analysis.changes.records import Asked
    from vcpu_scenario.arm64.cpumodels import CORTEX_A57
    from vcpu_scenario.recordings.format import BadRecording
    from vcpu_scenario.recordings.jobs import jobs

    for path in paths:
        try:
            for job in jobs(Path(path), complain):
                if job.cpu == CORTEX_A57.name:
                    yield Asked("recorded jobs", job.name, job.case)
        except BadRecording as error:
            raise UsageError(str(error)) from None


def _programs(request: Request) -> Iterator[Asked]:
    from vcpu_scenario.analysis.changes.records import Asked
    from vcpu_scenario.analysis.generate import REAL, generate

    for seed in range(request.seed, request.seed + request.programs):
        yield Asked("random programs", f"program {seed}", generate(seed, REAL))


Step: TypeAlias = "Callable[[], list[Found]]"


def _found(
    request: Request, release: str, asked: Sequence[Asked], lab: LabArguments
) -> tuple[list[Found], int, str]:
    """What came of all, how many were not asked, and what the kernel says that it is."""
    with ExitStack() as open_:

        def both(hosts: Sequence[str]) -> tuple[Target, Target]:
            real = machine(f"lab:{request.kernel}", lab, hosts)
            model = machine(f"emulated:{release}", lab, hosts, option="--against", beside_lab=True)
            return open_.enter_context(real), open_.enter_context(model)

        real, model = both(request.hosts)
        with failing():
            itself = f"{request.kernel} ({real.itself})"
        steps: list[Step] = [partial(_registers, real, model)]
        steps += [partial(_case, each, real, model) for each in asked]
        if request.programs:
            others = both(request.hosts or (PROGRAMS_CPU,))
            steps += [partial(_case, each, *others) for each in _programs(request)]
        found, left = _done(steps)
    return found, left, itself


def _registers(real: Target, model: Target) -> list[Found]:
    from vcpu_scenario.analysis.changes import registers

    return list(registers.compared(real, model))


def _case(asked: Asked, real: Target, model: Target) -> list[Found]:
    from vcpu_scenario.analysis.changes import cases

    return [cases.compared(asked, real, model)]


def _done(steps: Sequence[Step]) -> tuple[list[Found], int]:
    """What the steps gave, with a line about how far they are now and then, and how many are left
    where somebody wants to stop."""
    found: list[Found] = []
    told = time.monotonic()
    with UntilAsked(steps) as to_do:
        for number, step in enumerate(to_do, start=1):
            with failing():
                found += step()
            if time.monotonic() - told > _TOLD_EVERY:
                told = time.monotonic()
                complain(f"{number:,} of {len(steps):,} asked")
    return found, to_do.left


def _told(kernel: str, release: str, found: Sequence[Found]) -> Iterable[Line]:
    from vcpu_scenario.analysis.changes.explained import changes
    from vcpu_scenario.report import changes as report

    return report.text(kernel, release, found, changes(found, release))

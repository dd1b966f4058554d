"""``scenario conform``: holds a machine to recorded traces."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias

from vcpu_scenario.cli.collect import collect
from vcpu_scenario.cli.machines import NO_LAB, LabArguments, failing, machine
from vcpu_scenario.cli.output import Destination, complain, destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.kernels.release import KernelRange, RangeError, parse_range, parse_release
from vcpu_scenario.running.keyword import compile_keyword
from vcpu_scenario.running.pool import Lost, Stop
from vcpu_scenario.running.select import no_kernels

if TYPE_CHECKING:
    from vcpu_scenario.recordings.conform import Outcome
    from vcpu_scenario.recordings.jobs import RecordedJob
    from vcpu_scenario.running.targets import Target

Pair: TypeAlias = "tuple[RecordedJob, str]"
"""A job, and a kernel on which it was recorded."""

_RUNS: Final = 3
"""How often a job is run at most: as it is, and with a host interrupt in either place."""
_PATIENCE: Final = 30.0
_SHAPE: Final = (
    'a recording is a JSON list of {"job": ..., "traces": ...}, plain or compressed with xz (.xz)'
)


def conform(
    paths: Sequence[str],
    kernels: Sequence[str],
    keyword: str,
    report: str,
    output: str | None,
    *,
    on: str = "emulated",
    lab: LabArguments = NO_LAB,
    jobs: int,
) -> Status:
    """Runs what is selected of the recordings in ``paths``; ``report`` names the format.

    ``on`` names the machine; one of a single kernel runs what was recorded on that release.
    """
    with destination(output) as to:
        recorded = _load(paths)
        with machine(on, lab) as target:
            pairs = _selected(recorded, _releases(target, kernels), keyword)
            start = perf_counter()
            stop = Stop()
            coming = _outcomes(pairs, jobs, stop, target)
            outcomes, interrupted = collect(coming, len(pairs), stop)
            seconds = perf_counter() - start
        not_run = len(pairs) - len(outcomes)
        _write(outcomes, recorded, report, to, seconds, not_run)
    if interrupted:
        return Status.INTERRUPTED
    if not pairs:
        complain("no trace is selected" if recorded else "nothing is recorded there")
        return Status.NOTHING_SELECTED
    return Status.OK if all(outcome.reproduced for outcome in outcomes) else Status.MISMATCH


def _releases(target: Target, named: Sequence[str]) -> tuple[str, ...]:
    """Recordings are of releases: a lab's 6.12.107 is held to what was recorded on 6.12."""
    if target.kernel is None:
        return tuple(named)
    if named:
        raise UsageError(f"--kernel: {target.name} is {target.kernel}, and no other")
    return (".".join(map(str, parse_release(target.kernel).numbers[:2])),)


def _load(paths: Iterable[str]) -> list[RecordedJob]:
    """The jobs of every file, each file once; tells of every file that is no recording."""
    from vcpu_scenario.recordings.format import BadRecording
    from vcpu_scenario.recordings.jobs import jobs

    found: list[RecordedJob] = []
    faults: list[str] = []
    shape = ""
    for path in _distinct(paths):
        try:
            found += jobs(path, complain)
        except BadRecording as error:
            faults.append(str(error))
            shape = _SHAPE
    if faults:
        raise UsageError("\n".join([*faults, shape]).rstrip())
    return found


def _distinct(paths: Iterable[str]) -> Iterable[str]:
    """Each file once, by the name that comes first."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(os.path.realpath(path), path)
    return found.values()


def _selected(recorded: Iterable[RecordedJob], kernels: Sequence[str], keyword: str) -> list[Pair]:
    pairs = [(job, kernel) for job in recorded for trace in job.traces for kernel in trace.kernels]
    ranges = [_range(name, {kernel for _, kernel in pairs}) for name in kernels]
    selects = compile_keyword(keyword)
    pairs = [
        (job, kernel)
        for job, kernel in pairs
        if (not ranges or any(range_.matches(kernel) for range_ in ranges))
        and selects(f"{job.name}@{kernel}")
    ]
    _check_known(pairs)
    return pairs


def _range(name: str, recorded: Iterable[str]) -> KernelRange:
    try:
        range_ = parse_range(name)
    except RangeError as error:
        raise UsageError(no_kernels(name, error)) from None
    if not any(range_.matches(kernel) for kernel in recorded):
        there = ", ".join(sorted(recorded, key=parse_release)) or "no kernel at all"
        raise UsageError(f"--kernel: nothing was recorded on {name}; there is {there}")
    return range_


def _check_known(pairs: Iterable[Pair]) -> None:
    """Raises :class:`UsageError` where the machine does not know a kernel that was recorded."""
    from vcpu_scenario.kernels.table import UnknownKernel, kernel

    unknown: dict[str, str] = {}
    for job, name in pairs:
        if name not in unknown:
            try:
                kernel(name)
            except UnknownKernel as error:
                unknown[name] = (
                    f"{printable(job.path)}: {printable(job.name)} was recorded on {name}: {error}"
                )
    if unknown:
        help_ = "--kernel selects those that can be run"
        raise UsageError("\n".join([*unknown.values(), help_]))


def _outcomes(
    pairs: Sequence[Pair], jobs: int, stop: Stop, target: Target
) -> Generator[Outcome, None, None]:
    if target.real:
        yield from _outcomes_on(target, pairs, stop)
    elif pairs:
        yield from _emulated(pairs, jobs, stop)


def _outcomes_on(
    target: Target, pairs: Iterable[Pair], stop: Stop
) -> Generator[Outcome, None, None]:
    """One after the other: a boot of the machine serves all of them."""
    from vcpu_scenario.recordings.conform import Outcome, compared
    from vcpu_scenario.trace import Trace

    for job, name in pairs:
        if stop:
            return
        with failing():
            found = target.run(job.case, name)
        if isinstance(found, Trace):
            yield compared(job, name, found)
        else:
            yield Outcome(job.name, name, path=job.path, error=found.reason)


def _emulated(pairs: Sequence[Pair], jobs: int, stop: Stop) -> Generator[Outcome, None, None]:
    from vcpu_scenario.kernels.table import kernel
    from vcpu_scenario.machine.emulated.machine import create
    from vcpu_scenario.recordings import conform as conformance
    from vcpu_scenario.running import pool as workers

    def work(number: int) -> Outcome:
        job, name = pairs[number]
        return conformance.check(
            job,
            name,
            create,
            swallows_steps=lambda name: kernel(name).loses_steps,
        )

    def patience(number: int) -> float:
        limits = pairs[number][0].case.limits
        return _RUNS * limits.exits * limits.seconds + _PATIENCE

    for number, found in workers.results(work, len(pairs), jobs, stop=stop, patience=patience):
        if isinstance(found, Lost):
            job, name = pairs[number]
            yield conformance.Outcome(job.name, name, path=job.path, error=found.reason)
        else:
            yield found


def _write(
    outcomes: Sequence[Outcome],
    recorded: Iterable[RecordedJob],
    report: str,
    to: Destination,
    seconds: float,
    not_run: int,
) -> None:
    from vcpu_scenario.report import conform as reports

    if report == "json":
        to.write(reports.document(outcomes, not_run=not_run))
        return
    if not outcomes:
        return
    cases = {(job.path, job.name): job.case for job in recorded}
    lines = reports.report(
        outcomes,
        lambda path, job: cases[path, job],
        seconds=seconds,
        width=to.width,
        note=f"interrupted: {not_run} traces were not compared" if not_run else "",
    )
    to.write(to.painted(lines))

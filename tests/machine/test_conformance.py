"""The emulated machine gives, exit for exit, what real kernels gave."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.recordings.conform import check
from vcpu_scenario.recordings.jobs import RecordedJob, jobs

RECORDED = Path(__file__).parents[1] / "recorded"

WITH_HOST_INTERRUPT = {("rnd-1024", "5.0"): 0}
"""Traces recorded with a host interrupt: (job, kernel) to the exit after which it came. The
interrupt fell between the entry with a step pending and the step exception, where generations up
to 6.0 start the step over; with it at that place the machine gives the recorded trace."""


FILES = {path.name.partition(".")[0]: path for path in sorted(RECORDED.glob("*.json.xz"))}
JOBS = [
    pytest.param(job, id=job.name, marks=() if file == "core" else pytest.mark.slow)
    for file, path in FILES.items()
    for job in jobs(path)
]


KERNELS_OF_OTHER_CPUS = {"5.10", "6.1", "6.12", "6.17", "7.2"}
OTHER_CPUS = [
    pytest.param(job, id=f"{job.name}-{job.cpu}", marks=() if file == "core" else pytest.mark.slow)
    for file in FILES
    for path in sorted(RECORDED.glob(f"cortex-*/{file}.json.xz"))
    for job in jobs(path)
]
"""By ``python -m tests.recorded``: a Cortex-A76, whose host runs KVM with VHE."""


def test_all_recorded_jobs_are_here() -> None:
    assert len(JOBS) == len(OTHER_CPUS) == 359


@pytest.mark.parametrize("job", JOBS)
def test_a_recorded_job_gives_the_recorded_exits_on_every_kernel(job: RecordedJob) -> None:
    for recorded in job.traces:
        for name in recorded.kernels:
            outcome = check(job, name, create, swallows_steps=lambda name: kernel(name).loses_steps)
            assert outcome.difference is None, f"{name}: {outcome.difference}"
            assert outcome.host_interrupt == WITH_HOST_INTERRUPT.get((job.name, name))


@pytest.mark.parametrize("job", OTHER_CPUS)
def test_a_job_gives_on_another_cpu_what_was_recorded_there(job: RecordedJob) -> None:
    assert {name for recorded in job.traces for name in recorded.kernels} == KERNELS_OF_OTHER_CPUS
    for recorded in job.traces:
        for name in recorded.kernels:
            outcome = check(job, name, create, swallows_steps=lambda name: kernel(name).loses_steps)
            assert outcome.exact, f"{name}: {outcome.difference or outcome.error}"

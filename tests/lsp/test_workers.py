"""A process that works for the server does one job after the other, and none for too long."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.language.permission import granting
from vcpu_scenario.lsp.answers import Checked
from vcpu_scenario.lsp.workers import Failed, TookTooLong, Worker

from .test_hostile import GOOD, SPINNING

pytestmark = pytest.mark.slow  # a process is started

PATIENCE = 120.0


def with_worker(work: Callable[[Worker], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        worker = Worker()
        try:
            await work(worker)
        finally:
            await worker.close()

    asyncio.run(whole())


async def good(worker: Worker) -> None:
    """That the worker works."""
    answer = await worker.ask("check", GOOD, "t.vcpu.yaml", seconds=PATIENCE)
    assert answer == Checked((), ())


def test_what_takes_too_long_is_given_up_and_the_next_job_is_done() -> None:
    async def work(worker: Worker) -> None:
        with pytest.raises(TookTooLong, match="longer than 1 s"):
            await worker.ask("run", SPINNING, "t.vcpu.yaml", None, seconds=1)
        await good(worker)

    with_worker(work)


def test_a_job_that_is_cancelled_ends_its_process() -> None:
    async def work(worker: Worker) -> None:
        process = await worker.start()
        job = asyncio.create_task(worker.ask("run", SPINNING, "t", None, seconds=PATIENCE))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert process.returncode is not None
        await good(worker)

    with_worker(work)


def test_a_process_that_dies_fails_its_job_alone() -> None:
    async def work(worker: Worker) -> None:
        process = await worker.start()
        job = asyncio.create_task(worker.ask("run", SPINNING, "t", None, seconds=PATIENCE))
        await asyncio.sleep(0)
        process.send_signal(signal.SIGKILL)
        with pytest.raises(Failed, match="process of the job ended"):
            await job
        await good(worker)

    with_worker(work)


def test_a_process_that_ended_idle_fails_no_job() -> None:
    async def work(worker: Worker) -> None:
        await good(worker)
        process = await worker.start()
        process.send_signal(signal.SIGKILL)
        time.sleep(0.5)  # in which the event loop sees nothing of it
        await good(worker)

    with_worker(work)


def test_a_job_that_fails_says_why() -> None:
    async def work(worker: Worker) -> None:
        with pytest.raises(Failed, match="KeyError"):
            await worker.ask("no such job", seconds=PATIENCE)
        await good(worker)

    with_worker(work)


def test_jobs_wait_for_each_other() -> None:
    async def work(worker: Worker) -> None:
        await asyncio.gather(*(good(worker) for _ in range(5)))

    with_worker(work)


def test_folders_that_the_server_allows_are_allowed_to_its_workers(tmp_path: Path) -> None:
    (tmp_path / "fw.bin").write_bytes(bytes.fromhex("000020d4"))
    text = (
        "title: t\n"
        f"guest: {{binary: {tmp_path}/fw.bin}}\n"
        "debug: {software_breakpoints: true}\n"
        "expect: [{exits: [debug: {brk: 0x40000000}]}]\n"
    )

    async def refused(worker: Worker) -> None:
        answer = await worker.ask("check", text, "t.vcpu.yaml", seconds=PATIENCE)
        assert len(answer.faults) == 1
        assert "outside the scenario's folder" in answer.faults[0].message

    async def read(worker: Worker) -> None:
        assert await worker.ask("check", text, "t.vcpu.yaml", seconds=PATIENCE) == Checked(())

    with_worker(refused)
    with granting([tmp_path]):
        with_worker(read)

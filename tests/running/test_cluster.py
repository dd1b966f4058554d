"""A Dask cluster on this machine: a scheduler and two workers, some of which die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vcpu_scenario.api import Result, ScenarioCase
from vcpu_scenario.cli import main
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.batch import run_on
from vcpu_scenario.running.cluster import ClusterError, cluster
from vcpu_scenario.running.execute import execute
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all

from .machines import DEADLY, FLAG, deadly, deadly_once, stuck

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds for what a busy machine may take long for; nothing is waited for that comes earlier."""


class Cluster:
    """A scheduler, and the workers that :meth:`add_worker` starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), FLAG: str(folder / "flag")}
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "dask_scheduler", "--host", "tcp://127.0.0.1", "--port", "0", "--scheduler-file", file
        )
        self.address = _wait_for(lambda: _address(file))

    def add_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        self.environment |= environment
        return self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny")

    def _start(self, command: str, *args: object) -> subprocess.Popen[bytes]:
        words = ["-m", f"distributed.cli.{command}", *map(str, args), "--no-dashboard"]
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def _address(file: Path) -> str:
    try:
        return str(json.loads(file.read_text())["address"])
    except (OSError, ValueError):
        return ""


def _wait_for(what: Callable[[], str]) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def _at_work(address: str) -> str:
    """The work that the cluster's workers are at."""
    from distributed import Client

    with Client(address, timeout=PATIENCE, set_as_default=False) as client:
        processing = client.processing()
        return " ".join(str(work) for works in processing.values() for work in works)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> list[ScenarioCase]:
    """The deadly ones in the middle, so that something is done before."""
    monkeypatch.chdir(ROOT)
    kernels = ("4.14", DEADLY, "6.12", "7.3")
    scenarios, _ = load_all(find(["scenarios/thread", "tests/cli/data/step"]))
    found = Selection(kernels=kernels).cases(scenarios)
    return sorted(found, key=lambda case: kernels.index(case.kernel))


@pytest.fixture
def expected(cases: list[ScenarioCase]) -> list[Result]:
    return [execute(case, create) for case in cases]


@pytest.mark.slow
def test_a_worker_that_dies_in_the_middle_changes_no_result(
    local: Cluster, cases: list[ScenarioCase], expected: list[Result]
) -> None:
    workers = [local.add_worker(), local.add_worker()]
    with cluster(local.address, PATIENCE) as dask:
        results = list(run_on(dask.executor, cases, deadly_once, size=4, gone=dask.gone))
    assert [worker.poll() for worker in workers].count(None) == 1, "one worker was to die"
    assert results == expected


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_changes_no_result(
    local: Cluster, cases: list[ScenarioCase], expected: list[Result]
) -> None:
    first, _ = local.add_worker(), local.add_worker()
    results = []
    with cluster(local.address, PATIENCE) as dask:
        for result in run_on(dask.executor, cases, size=4, gone=dask.gone):
            results.append(result)
            if len(results) == 1:
                first.kill()
    assert results == expected


@pytest.mark.slow
def test_once_all_workers_are_gone_every_case_has_a_result(
    local: Cluster, cases: list[ScenarioCase], expected: list[Result]
) -> None:
    local.add_worker()
    with cluster(local.address, PATIENCE) as dask:
        pass
    with cluster(local.address, 5.0) as dask:
        results = list(run_on(dask.executor, cases, deadly, size=4, gone=dask.gone))
    assert [result.case for result in results] == cases
    lost = [result for result in results if result.verdict == "error"]
    assert lost
    assert {result.reason.partition(":")[0] for result in lost} == {"the executor lost the case"}
    assert "has had no workers for 5 seconds" in lost[-1].reason
    kept = [(one, other) for one, other in zip(results, expected, strict=True) if one not in lost]
    assert all(one == other for one, other in kept)


@pytest.mark.slow
def test_once_the_scheduler_is_gone_every_case_has_a_result(
    local: Cluster, cases: list[ScenarioCase]
) -> None:
    import dask.config

    local.add_worker()
    with cluster(local.address, PATIENCE):
        pass
    results = []
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        cluster(local.address, 5.0) as dask_cluster,
    ):
        for result in run_on(dask_cluster.executor, cases, stuck, size=1, gone=dask_cluster.gone):
            results.append(result)
            if len(results) == 1:
                local.scheduler.kill()
    assert [result.case for result in results] == cases
    lost = [result for result in results if result.verdict == "error"]
    assert {result.case.kernel for result in lost} >= {DEADLY}


IMPATIENT = """\
from vcpu_scenario.process import main
from vcpu_scenario.running import cluster
cluster.PATIENCE = 20.0
raise SystemExit(main())
"""


@pytest.mark.slow
def test_a_scheduler_that_dies_is_told_in_the_results_alone(local: Cluster, tmp_path: Path) -> None:
    """Dask's own log, with its tracebacks, is not the user's."""
    slow = tmp_path / "slow.vcpu.yaml"
    slow.write_text(
        "title: many polls\n"
        "guest: {words: [0xb9400001, 0x17ffffff], registers: {x0: 0x09000000, x5: '${x5}'}}\n"
        f"matrix: {{x5: [{', '.join(map(str, range(400)))}]}}\n"
        "limits: {exits: 20000}\n"
        "expect: [{exits: [mmio: {read: 0x09000000, repeat: 20000}]}]\n"
    )
    local.add_worker()
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "run", str(slow), "--kernel", "6.12",
         "--cluster", local.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    _wait_for(lambda: _at_work(local.address))
    local.scheduler.kill()
    out, err = process.communicate(timeout=2 * PATIENCE)
    assert (process.returncode, err) == (1, "")
    assert f"the connection to {local.address} ended" in out


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with (
        pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"),
        cluster("tcp://127.0.0.1:1", 0.5),
    ):
        pass


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ClusterError, match="nonsense://"), cluster("nonsense://x", 0.5):
        pass


@pytest.mark.slow
def test_a_cluster_without_workers_is_no_cluster(local: Cluster) -> None:
    with pytest.raises(ClusterError, match="has no workers"), cluster(local.address, 5.0):
        pass


@pytest.mark.slow
def test_workers_that_cannot_import_the_package_are_told_of_before_anything_is_run(
    local: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "vcpu_scenario").mkdir()
    (tmp_path / "vcpu_scenario" / "__init__.py").write_text("raise ImportError('nothing here')")
    local.add_worker(PYTHONPATH=str(tmp_path))
    with (
        pytest.raises(ClusterError, match=r"cannot run cases, .*nothing here"),
        cluster(local.address, PATIENCE),
    ):
        pass


@pytest.mark.slow
def test_workers_of_another_version_are_told_of_before_anything_is_run(
    local: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.add_worker()
    monkeypatch.setattr("vcpu_scenario.running.cluster.version", lambda: "0.0")
    with (
        pytest.raises(ClusterError, match=r"has version \S+ of vcpu-scenario, and this is 0\.0"),
        cluster(local.address, PATIENCE),
    ):
        pass


@pytest.mark.slow
def test_the_command_line_runs_cases_on_a_cluster_as_it_does_here(
    local: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    local.add_worker()
    command = ["run", "tests/cli/data/step", "tests/cli/data/wrong", "--format", "json"]
    status = main(command)
    here = capsys.readouterr().out
    assert main([*command, "--cluster", local.address]) == status
    assert capsys.readouterr().out == here


@pytest.mark.slow
def test_a_cluster_that_cannot_be_used_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("vcpu_scenario.running.cluster.PATIENCE", 0.5)
    assert main(["run", "tests/cli/data/step", "--cluster", "tcp://127.0.0.1:1"]) == 4
    told = capsys.readouterr().err
    assert told.startswith("scenario: --cluster: no scheduler answers at tcp://127.0.0.1:1: ")


def test_a_machine_too_busy_for_dask_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def client(*arguments: object, **options: object) -> None:
        tries.append(arguments)
        raise AssertionError

    monkeypatch.setattr("distributed.Client", client)
    with (
        pytest.raises(ClusterError, match="the machine is too busy"),
        cluster("tcp://127.0.0.1:1", 0.01),
    ):
        pass
    assert tries


def test_without_dask_there_is_a_hint_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["run", "tests/cli/data/step", "--cluster", "tcp://127.0.0.1:1"]) == 4
    assert "pip install 'vcpu-scenario[cluster]'" in capsys.readouterr().err

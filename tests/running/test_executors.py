"""Batches on executors: the same results in the same order, whatever becomes of the workers."""

from __future__ import annotations

import ast
import multiprocessing
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.api import Result, ScenarioCase, run
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running import batch, carriers
from vcpu_scenario.running.batch import OtherVersion, run_batch, run_on
from vcpu_scenario.running.execute import execute
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all

from .machines import DEADLY

ROOT = Path(__file__).parents[2]

Patch = pytest.MonkeyPatch

CLEAN = multiprocessing.get_context("forkserver")
"""This process may have threads, and must not be forked with them."""


@pytest.fixture
def pools() -> None:
    """Skips where no pool of processes can be made: its locks lie in /dev/shm."""
    try:
        CLEAN.Lock()
    except OSError as error:
        pytest.skip(f"no pool of processes can be made here: {error}")


needs_pools = pytest.mark.usefixtures("pools")


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> list[ScenarioCase]:
    """Some with parameters, some with ELF symbols, some that fail."""
    monkeypatch.chdir(ROOT)
    paths = ["scenarios/thread", "tests/cli/data/step", "tests/cli/data/wrong"]
    scenarios, diagnostics = load_all(find(paths))
    assert not diagnostics
    return Selection(kernels=("4.14", DEADLY, "6.12", "7.3")).cases(scenarios)


@pytest.fixture
def expected(cases: list[ScenarioCase]) -> list[Result]:
    results = [execute(case, create) for case in cases]
    assert {result.verdict for result in results} >= {"pass", "fail", "skip"}
    return results


class Inline(Executor):
    """Runs what it is given when it is waited for, in this process."""

    def __init__(self, refuse: Callable[[list[str]], bool] = lambda ids: False) -> None:
        self.refuse = refuse
        self.submitted: list[list[str]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        cases, _ = pickle.loads(args[1])
        self.submitted.append([case.id for case in cases])
        if self.refuse(self.submitted[-1]):
            future.set_exception(ConnectionError("the worker is gone"))
        else:
            future.set_result(work(*args, **more))
        return future


class Idle(Executor):
    """Never does anything."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


POOLS: dict[str, Callable[[], Executor]] = {
    "thread": lambda: ThreadPoolExecutor(1),
    "threads": lambda: ThreadPoolExecutor(4),
    "processes": lambda: ProcessPoolExecutor(2, mp_context=CLEAN),
    "inline": Inline,
}


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_results_and_order_are_those_of_one_process(
    pool: str,
    cases: list[ScenarioCase],
    expected: list[Result],
    request: pytest.FixtureRequest,
) -> None:
    if pool == "processes":
        request.getfixturevalue("pools")
    with POOLS[pool]() as executor:
        assert list(run_on(executor, cases)) == expected
        assert run(cases, executor=executor) == expected


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_size_of_batches_changes_no_result(
    size: int, cases: list[ScenarioCase], expected: list[Result]
) -> None:
    executor = Inline()
    assert list(run_on(executor, cases, size=size)) == expected
    assert {len(ids) for ids in executor.submitted[:-1]} <= {size}
    assert [name for ids in executor.submitted for name in ids] == [case.id for case in cases]


@pytest.mark.slow
@needs_pools
def test_a_result_goes_with_the_case_that_was_given(cases: list[ScenarioCase]) -> None:
    with ProcessPoolExecutor(1, mp_context=CLEAN) as executor:
        for case, result in zip(cases, run_on(executor, cases), strict=True):
            assert result.case is case


@pytest.mark.slow
def test_without_traces_the_verdicts_are_the_same(
    cases: list[ScenarioCase], expected: list[Result]
) -> None:
    results = list(run_on(Inline(), cases, traces=False))
    assert [result.verdict for result in results] == [result.verdict for result in expected]
    assert [result.mismatches for result in results] == [r.mismatches for r in expected]
    assert all(result.trace is None for result in results)


@pytest.mark.slow
def test_a_case_that_is_lost_is_lost_alone(
    cases: list[ScenarioCase], expected: list[Result]
) -> None:
    poison = cases[len(cases) // 2].id
    executor = Inline(lambda ids: poison in ids)
    results = list(run_on(executor, cases, size=10))
    for result, other in zip(results, expected, strict=True):
        if result.case.id == poison:
            assert result.verdict == "error"
            reason = "the executor lost the case: ConnectionError: the worker is gone"
            assert result.reason == reason
        else:
            assert result == other
    assert executor.submitted.count([poison]) == 1


@pytest.mark.slow
@needs_pools
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_pool_that_breaks_leaves_no_case_without_a_result(method: str) -> None:
    """In a process of its own, which ends only if the pool does."""
    verdicts = broken(method, "0")
    assert verdicts["error"] > 0
    assert set(verdicts) <= {"pass", "error"}


@pytest.mark.slow
@needs_pools
def test_a_pool_ends_whenever_one_of_its_processes_is_killed() -> None:
    broken("fork", *map(str, range(1, 40, 4)))


def broken(*arguments: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.running.breaking", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(ast.literal_eval(done.stdout))


class Small(ProcessPoolExecutor):
    """Takes what goes into a pipe at once, and keeps what comes out of it."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.sent: list[Future[Any]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        assert len(pickle.dumps((work, args, more))) < 256
        self.sent.append(super().submit(work, *args, **more))
        return self.sent[-1]


@pytest.mark.slow
@needs_pools
def test_what_goes_through_a_pool_fits_into_its_pipes(
    cases: list[ScenarioCase], expected: list[Result], tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Small(2, mp_context=CLEAN) as executor:
        assert run(cases, executor=executor) == expected
    assert {future.result() for future in executor.sent} == {None}
    assert list(tmp_path.glob("vcpu-scenario-*")) == []


@pytest.mark.slow
@needs_pools
def test_a_pool_is_left_as_it_was_by_who_stops_listening(
    cases: list[ScenarioCase], tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ProcessPoolExecutor(2, mp_context=CLEAN) as executor:
        results = run_on(executor, cases, size=1)
        assert next(results).case is cases[0]
        results.close()
        assert list(tmp_path.glob("vcpu-scenario-*")) == []
        assert executor.submit(abs, -1).result() == 1


def test_an_executor_that_was_shut_down_loses_all(cases: list[ScenarioCase]) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    results = list(run_on(executor, cases))
    assert [result.case for result in results] == cases
    assert {result.verdict for result in results} == {"error"}
    assert "shutdown" in results[0].reason


@pytest.mark.slow
def test_nothing_is_waited_for_that_cannot_come(cases: list[ScenarioCase]) -> None:
    results = list(run_on(Idle(), cases, gone=lambda: "everybody left"))
    assert [result.reason for result in results] == [
        "the executor lost the case: everybody left"
    ] * len(cases)


@pytest.mark.slow
def test_what_has_not_begun_is_cancelled_when_nobody_wants_it(cases: list[ScenarioCase]) -> None:
    class OneOnly(Idle):
        def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            future = super().submit(work, *args, **more)
            if len(self.futures) == 1:
                future.set_result(work(*args, **more))
            return future

    executor = OneOnly()
    results = run_on(executor, cases, size=1)
    assert next(results).case is cases[0]
    results.close()
    assert len(executor.futures) > 1
    assert all(future.cancelled() for future in executor.futures[1:])


@pytest.mark.slow
def test_once_it_is_stopped_what_is_done_is_kept_and_nothing_else_begun(
    cases: list[ScenarioCase], expected: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriers, "AHEAD", 2)
    executor = Inline()
    kept = list(run_on(executor, cases, size=5, stop=lambda: len(executor.submitted) > 3))
    assert 0 < len(kept) < len(cases)
    assert kept == expected[: len(kept)]
    assert len(kept) == sum(map(len, executor.submitted))


@pytest.mark.slow
def test_what_is_done_out_of_turn_is_kept_when_it_is_stopped(cases: list[ScenarioCase]) -> None:
    class AllButTheFirst(Inline):
        def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            future = super().submit(work, *args, **more)
            return Future() if len(self.submitted) == 1 else future

    asked = iter([False, False, True])
    stop = partial(next, asked)
    results = list(run_on(AllButTheFirst(), cases, size=5, stop=stop))
    assert [result.case for result in results] == cases[5:]


@pytest.mark.slow
def test_a_batch_carries_its_own_cases_and_no_others(cases: list[ScenarioCase]) -> None:
    class Weighed(Inline):
        heaviest = 0

        def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            self.heaviest = max(self.heaviest, len(args[1]))
            assert all(case.scenario.combinations == () for case in pickle.loads(args[1])[0])
            return super().submit(work, *args, **more)

    executor = Weighed()
    list(run_on(executor, cases, size=1))
    assert executor.heaviest < 50_000


def test_nothing_is_run_for_a_caller_of_another_version() -> None:
    complaint = rf"has version {re.escape(batch.version())} .* this is 0\.0"
    with pytest.raises(OtherVersion, match=complaint):
        run_batch("0.0", b"", True)


@pytest.mark.slow
def test_a_worker_of_another_version_ends_the_run(
    cases: list[ScenarioCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(Inline):
        def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(OtherVersion("a worker has version 9"))
            return future

    with pytest.raises(OtherVersion, match="version 9"):
        list(run_on(Elsewhere(), cases))

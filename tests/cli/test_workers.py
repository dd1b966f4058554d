"""Work in processes of its own: order, and what becomes of work that ends its process."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from vcpu_scenario.running.pool import Lost, Stop, results

from .conftest import children

Work = Callable[[int], Any]


def run(work: Work, count: int, processes: int, patience: float = 60.0) -> list[tuple[int, Any]]:
    return list(results(work, count, processes, stop=Stop(), patience=lambda number: patience))


def lost(found: list[tuple[int, Any]]) -> dict[int, str]:
    return {number: result.reason for number, result in found if isinstance(result, Lost)}


@pytest.mark.parametrize("processes", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 300])
def test_results_come_in_order_with_any_number_of_processes(count: int, processes: int) -> None:
    assert run(lambda n: n * n, count, processes) == [(n, n * n) for n in range(count)]


def test_a_slow_piece_holds_up_no_other() -> None:
    late = Stop()

    def work(number: int) -> str:
        if number == 150:
            late.set()
        while number == 0 and not late:
            time.sleep(0.01)
        return "done"

    assert run(work, 200, 2) == [(number, "done") for number in range(200)]


def killed(number: int) -> int:
    if number % 5 == 3:
        sys.stderr.write("first\nERROR: not reached\n")
        os.abort()
    return number


@pytest.mark.parametrize("processes", [1, 2])
def test_work_that_kills_its_process_is_lost_alone(processes: int) -> None:
    found = run(killed, 20, processes)
    assert [number for number, _ in found] == list(range(20))
    assert [result for _, result in found if not isinstance(result, Lost)] == [
        number for number in range(20) if number % 5 != 3
    ]
    reason = "the process that ran the case was killed by SIGABRT: ERROR: not reached"
    assert lost(found) == dict.fromkeys([3, 8, 13, 18], reason)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            "the process that ran the case was killed by SIGKILL",
        ),
        (lambda: os._exit(7), "the process that ran the case ended with status 7"),
        (lambda: 1 / 0, "the runner failed: ZeroDivisionError: division by zero"),
        (lambda: time.sleep(60), "the case was ended: it gave no result for 3 seconds"),
    ],
    ids=["killed", "exits", "raises", "hangs"],
)
def test_each_way_to_end_is_told(end: Callable[[], object], reason: str) -> None:
    patience = 3.0 if "no result" in reason else 60.0
    found = run(lambda number: end() if number == 1 else number, 3, 1, patience)
    assert lost(found) == {1: reason}
    assert (found[0], found[2]) == ((0, 0), (2, 2))


def test_a_result_that_cannot_be_told_is_lost_with_the_reason() -> None:
    found = run(lambda number: (lambda: number) if number else number, 2, 1)
    assert lost(found)[1].startswith("the runner failed: the result cannot be sent: ")
    assert found[0] == (0, 0)


def test_nothing_is_a_result() -> None:
    assert run(lambda number: None, 3, 2) == [(0, None), (1, None), (2, None)]


def test_large_results_arrive_whole() -> None:
    found = run(lambda number: bytes([number]) * 5_000_000, 3, 2)
    assert [(number, len(data), data[-1]) for number, data in found] == [
        (number, 5_000_000, number) for number in range(3)
    ]


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_a_stop_lets_pieces_at_hand_finish_and_begins_no_other(processes: int) -> None:
    stop = Stop()

    def work(number: int) -> int:
        if number == 4:
            stop.set()
        return number

    found = results(work, 1000, processes, stop=stop, patience=lambda number: 60.0)
    numbers = [number for number, _ in found]
    assert numbers == sorted(numbers)
    assert 4 in numbers
    assert len(numbers) < 1000


def test_no_process_is_left_whether_all_is_wanted_or_not() -> None:
    before = children()
    run(lambda number: number, 50, 3)
    assert children() == before
    some = results(lambda n: n, 500, 3, stop=Stop(), patience=lambda number: 60.0)
    assert next(some) == (0, 0)
    assert len(children()) > len(before)
    some.close()
    assert children() == before


def test_a_worker_whose_parent_is_gone_ends(tmp_path: Any) -> None:
    """The parent of two workers dies at once; both must notice."""
    pids = tmp_path / "pids"
    parent = os.fork()
    if not parent:
        try:

            def work(number: int) -> int:
                with pids.open("a") as file:
                    file.write(f"{os.getpid()}\n")
                return number

            for number, _ in results(work, 1000, 2, stop=Stop(), patience=lambda number: 60.0):
                if number == 500:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(parent, 0)
    for pid in set(pids.read_text().split()):
        deadline = time.monotonic() + 30
        while alive(int(pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not alive(int(pid))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_without_another_process_the_ones_there_are_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    forks = []
    fork = os.fork

    def scarce() -> int:
        forks.append(True)
        if len(forks) > 1:
            raise BlockingIOError
        return fork()

    monkeypatch.setattr(os, "fork", scarce)
    assert run(lambda number: number, 100, 4) == [(number, number) for number in range(100)]


def test_without_any_process_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", none)
    with pytest.raises(OSError, match="temporarily"):
        run(lambda number: number, 3, 2)

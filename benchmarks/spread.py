"""``python -m benchmarks.spread``: from how many cases on another process, or a cluster, pays.

The shipped scenarios' cases, again and again, in each way in turn: one process, two, an executor
of two processes, a cluster of two workers on this machine. Of each the best of some rounds, with
all that the way needs first. What it costs in processor time is told beside it: that is what is
left of a comparison on a machine that does something else as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from logging import CRITICAL
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter
from typing import NamedTuple

from vcpu_scenario.cli.run import run_cases
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.running.batch import run_on
from vcpu_scenario.running.paths import find as find_files
from vcpu_scenario.running.select import Selection, load_all

COUNTS = (100, 400, 1_000, 4_000, 16_000)
ROUNDS = 3
WORKERS = 2
SCENARIOS = Path(__file__).parents[1] / "scenarios"

Cases = Sequence[ScenarioCase]


class Cost(NamedTuple):
    seconds: float
    processor: float


def all_cases() -> list[ScenarioCase]:
    scenarios, faults = load_all(find_files([str(SCENARIOS)]))
    assert not faults
    return Selection().cases(scenarios)


def in_processes(jobs: int) -> Callable[[Cases], None]:
    def run(cases: Cases) -> None:
        done = run_cases(cases, jobs=jobs, traces=False)
        assert len(done.results) == len(cases)

    return run


def on_pool(cases: Cases) -> None:
    with ProcessPoolExecutor(WORKERS) as pool:
        assert len(list(run_on(pool, cases, traces=False))) == len(cases)


@contextmanager
def local_cluster() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=CRITICAL,
    ) as local:
        yield local.scheduler_address


def on_cluster(address: str, cases: Cases) -> None:
    done = run_cases(cases, traces=False, cluster=address)
    assert len(done.results) == len(cases)


def on_new_cluster(cases: Cases) -> None:
    with local_cluster() as address:
        on_cluster(address, cases)


def processor_seconds() -> float:
    return sum(
        used.ru_utime + used.ru_stime for used in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN))
    )


def cost(run: Callable[[Cases], None], cases: Cases) -> Cost:
    start, before = perf_counter(), processor_seconds()
    run(cases)
    return Cost(perf_counter() - start, processor_seconds() - before)


WAYS: dict[str, Callable[[Cases], None]] = {
    "-j 1": in_processes(1),
    f"-j {WORKERS}": in_processes(WORKERS),
    "executor": on_pool,
    "new cluster": on_new_cluster,
}


def main(counts: Sequence[int]) -> None:
    shipped = all_cases()
    print(f"{len(shipped)} cases shipped; best of {ROUNDS} rounds, {WORKERS} workers")
    print("ratio to -j 1: of the time, and in brackets of the processors' time")
    print(f"{'cases':>8}{'-j 1, s':>10}" + "".join(f"{way:>16}" for way in list(WAYS)[1:]), end="")
    print(f"{'running cluster':>18}")
    for count in counts:
        cases = list(islice(cycle(shipped), count))
        found: dict[str, list[Cost]] = {way: [] for way in WAYS}
        up: list[float] = []
        for _ in range(ROUNDS):
            for way, run in WAYS.items():
                found[way].append(cost(run, cases))
            with local_cluster() as address:
                up.append(cost(partial(on_cluster, address), cases).seconds)
        best = {way: Cost(*map(min, zip(*costs, strict=True))) for way, costs in found.items()}
        one = best.pop("-j 1")
        ratios = "".join(
            f"{each.seconds / one.seconds:>9.2f} ({each.processor / one.processor:.2f})"
            for each in best.values()
        )
        print(f"{count:>8}{one.seconds:>10.2f}{ratios}{min(up) / one.seconds:>18.2f}", flush=True)


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or COUNTS)

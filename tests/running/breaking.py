"""Breaks a pool in the middle: python -m tests.running.breaking METHOD WHEN...

The pool's processes are started by METHOD. For each WHEN one of another pool is killed: after so
many results, or with 0 by the first case that takes its process along. Prints how many results came
of each verdict, and ends only if the pools do.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

from vcpu_scenario.running.batch import run_on
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all

from .machines import DEADLY, deadly


def main(method: str, *when: int) -> None:
    scenarios, _ = load_all(find(["scenarios/thread"]))
    cases = Selection(kernels=("4.14", DEADLY, "6.12", "7.3")).cases(scenarios)
    cases = [case for case in cases if case.expectation is not None]
    verdicts = Counter[str]()
    context = multiprocessing.get_context(method)
    for after in when:
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            results = run_on(executor, cases, None if after else deadly, size=7)
            for number, result in enumerate(results, 1):
                verdicts[result.verdict] += 1
                if number == after:
                    multiprocessing.active_children()[-1].kill()
            # To shut a pool down in the moment in which an idle process dies is another race, which
            # Python loses: let the pool notice first.
            with suppress(BrokenProcessPool):
                executor.submit(abs, 1).result()
    assert verdicts.total() == len(cases) * len(when)
    print(dict(verdicts))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

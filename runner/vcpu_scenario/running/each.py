"""Something done for each of many files, in as many processes as there are processors."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final, TypeVar

from vcpu_scenario.running import pool
from vcpu_scenario.running.pool import Lost, Stop

Done = TypeVar("Done")

_FEWEST: Final = 24
"""Fewer files for a process than this are done before it has begun."""

_MOST: Final = 32
"""Processes, however many processors there are."""

_SELDOM: Final = (100_000, 50, 100)
"""A file makes many thousand objects that live as long as the next, and none in circles: what
Python looks for again and again is not there."""


def done_for_each(work: Callable[[int], Done], count: int) -> Generator[Done, None, None]:
    """Yields ``work(number)`` for 0 to ``count`` - 1, in order; raises what it raises.

    What is lost with a process, for whatever reason, is done in this one.
    """
    following = 0
    with _collecting_seldom():
        if (processes := min(_processors(), count // _FEWEST, _MOST)) > 1:
            found = pool.results(work, count, processes, stop=Stop(), patience=lambda _: inf)
            try:
                for number, done in found:
                    yield work(number) if isinstance(done, Lost) else done
                    following = number + 1
            except OSError:  # no process can be had, or none any more
                pass
            finally:
                found.close()
        for number in range(following, count):
            yield work(number)


def _processors() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0))


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)

"""Gathers results as they come: with a bar, until the end or Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from vcpu_scenario.cli.interrupt import Interrupt
from vcpu_scenario.cli.progress import Bar
from vcpu_scenario.running.pool import Stop

T = TypeVar("T")


def collect(
    done: Generator[T, None, None],
    total: int,
    stop: Stop,
    enough: Callable[[T], bool] = lambda result: False,
) -> tuple[tuple[T, ...], bool]:
    """What ``done`` gives, up to the first that is ``enough``, and whether Ctrl-C cut it short.

    Ctrl-C sets ``stop``, after which ``done`` gives what is done already; another one ends
    ``done`` at what it is at.
    """
    results: list[T] = []
    with Interrupt(stop.set) as interrupt, Bar(total) as bar, closing(done):
        try:
            for result in done:
                results.append(result)
                bar.advance()
                if enough(result):
                    break
        except KeyboardInterrupt:
            if not interrupt.asked:
                raise
    return tuple(results), interrupt.asked and len(results) < total

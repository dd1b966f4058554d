"""Results of shared work in the order of the work, whoever did it and in whatever order."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

Result = TypeVar("Result")


def in_order(
    done: Iterable[tuple[int, Result]],
) -> Generator[tuple[int, Result], None, None]:
    """Yield what comes as (number, result) by number, from 0, each as soon as its turn is."""
    early: dict[int, Result] = {}
    following = 0
    try:
        for number, result in done:
            early[number] = result
            while following in early:
                yield following, early.pop(following)
                following += 1
    except KeyboardInterrupt:
        yield from sorted(early.items())
        raise
    # Only where it was stopped is anything missing before these.
    yield from sorted(early.items())

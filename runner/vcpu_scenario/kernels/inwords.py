"""A set of releases as the ranges that an author would write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vcpu_scenario.kernels.release import Release


def ranges_of(wanted: set[Release], every: Iterable[Release]) -> tuple[str, ...]:
    """The ranges that, of ``every`` release, fit those ``wanted`` and no others."""
    found: list[str] = []
    releases = sorted(set(every))
    for variant in sorted({release.variant for release in wanted}):
        line = [release for release in releases if release.variant == variant]
        found += (_range(line, first, last) for first, last in _runs(line, wanted))
    return tuple(found)


def _runs(line: Sequence[Release], chosen: set[Release]) -> Iterator[tuple[int, int]]:
    first: int | None = None
    for number, release in enumerate(line):
        if release in chosen and first is None:
            first = number
        elif release not in chosen and first is not None:
            yield first, number - 1
            first = None
    if first is not None:
        yield first, len(line) - 1


def _range(line: Sequence[Release], first: int, last: int) -> str:
    if last == len(line) - 1:
        return f">={line[first]}"
    if first == last:
        return str(line[first])
    if first == 0:
        return f"<{line[last + 1]}"
    return f"{line[first]}..{line[last]}"

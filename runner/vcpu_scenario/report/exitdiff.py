"""A group's exits as a diff from those of the group before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final, TypeAlias

from vcpu_scenario.analysis.history import Change, Group, History
from vcpu_scenario.verdict.exits import describe_exit
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.result import guest_of
from vcpu_scenario.verdict.traces import Difference
from vcpu_scenario.verdict.words import value_words

_AROUND: Final = 2
"""Unchanged exits shown on each side of a change; what lies between is counted."""


Shown: TypeAlias = tuple[str, str]
"""A mark as diffs have it, `+`, `-` or a blank, and the text behind it."""


def exits(history: History, number: int) -> Iterator[Shown]:
    """The exits of the group at ``number``: as they are in the first group, else as a diff from
    the group before, with the fields and registers that differ and what differs at the end."""
    group = history.groups[number]
    if group.change is None:
        yield from _whole(group)
    else:
        yield from _folded(_diff(history.groups[number - 1], group, group.change))


def _whole(group: Group) -> Iterator[Shown]:
    guest = guest_of(group.case)
    if group.trace.error is not None:
        yield " ", f"the kernel refused the set-up: {group.trace.error}"
    for words, run in groupby(
        enumerate(group.trace.exits), lambda numbered: describe_exit(numbered[1], guest)
    ):
        (first, _), *more = run
        yield " ", _numbered(first, words)
        if more:
            yield " ", _numbered(None, f"... {len(more)} more of these")


def _numbered(number: int | None, words: str) -> str:
    return f"{'' if number is None else number:>3}  {words}"


def _diff(before: Group, group: Group, change: Change) -> Iterator[Shown]:
    old, new = guest_of(before.case), guest_of(group.case)
    by_pair: dict[tuple[int | None, int | None], list[Difference]] = {}
    for found in change.comparison.differences:
        if found.at == "exit":
            by_pair.setdefault(found.exits, []).append(found)
    told = _Told(change.comparison.differences)
    for i, j in change.comparison.pairs:
        words = None if i is None else describe_exit(before.trace.exits[i], old)
        now = None if j is None else describe_exit(group.trace.exits[j], new)
        if words == now and words is not None:
            yield " ", _numbered(j, words)
        else:
            if words is not None:
                yield "-", _numbered(i, words)
            if now is not None:
                yield "+", _numbered(j, now)
        moved = words != now
        yield from told.fields(by_pair.get((i, j), ()), moved, new)
    for found in change.comparison.differences:
        if found.at != "exit":
            yield from _both(label(found), _plain(found.one), _plain(found.other))


class _Told:
    """Tells what changes in one way in many exits where it first does, and how often it does."""

    def __init__(self, differences: Iterable[Difference]) -> None:
        self._times = Counter(map(_key, differences))
        self._told: set[object] = set()

    def fields(
        self, differences: Iterable[Difference], moved: bool, guest: Guest
    ) -> Iterator[Shown]:
        for found in differences:
            key = _key(found)
            if not found.field or key in self._told or (moved and found.field in _IN_WORDS):
                continue
            self._told.add(key)
            field = found.field.removeprefix("regs.")
            one, other = (
                value_words(field, value, guest.name) for value in (found.one, found.other)
            )
            more = self._times[key] - 1
            again = f", and in {more} more exit{'s' if more > 1 else ''}" if more else ""
            yield from _both(f"     {field}", one, f"{other}{again}")


_IN_WORDS: Final = frozenset({"exit", "ret", "errno", "pc", "addr", "len", "is_write"})
"""Fields that the description of an exit already tells."""


def _key(found: Difference) -> tuple[str, str, str]:
    return found.field, repr(found.one), repr(found.other)


def _both(label: str, one: str, other: str) -> Iterator[Shown]:
    yield "-", f"{label}: {one}"
    yield "+", f"{label}: {other}"


def label(found: Difference) -> str:
    """What it is that differs, in words: ``eventfd 0``."""
    return " ".join(filter(None, (found.at, found.field)))


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex(" ")
    if value is None or value == "":
        return "nothing"
    return f"{value:#x}" if isinstance(value, int) else str(value)


def _folded(shown: Iterable[Shown]) -> Iterator[Shown]:
    """Long stretches without a change in short."""
    for changed, run in groupby(shown, lambda one: one[0] != " "):
        lines = list(run)
        between = len(lines) - 2 * _AROUND
        if changed or between < 2:
            yield from lines
        else:
            yield from lines[:_AROUND]
            yield " ", _numbered(None, f"... {between} exits as before")
            yield from lines[-_AROUND:]

"""Stretches of guest physical addresses, and which of them may lie over each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import Span


class Region(NamedTuple):
    """A stretch of guest physical addresses; ``kind`` decides what it may share them with.

    ``implicit`` is set where the file does not speak of it, so that no fault is put on it.
    """

    kind: str
    name: str
    low: int
    high: int
    span: Span
    implicit: bool = False


_MAY_SHARE: Final = {
    # What is no RAM for writes: a device sees the writes to a read-only slot.
    frozenset(("rom", "userspace")),
    frozenset(("rom", "kernel bus")),
    # A doorbell in a device that is otherwise userspace's.
    frozenset(("kernel bus", "userspace")),
    frozenset(("kernel bus",)),
    frozenset(("kernel bus", "vgic")),
}


def check_overlaps(regions: Iterable[Region], scope: Scope) -> None:
    """Reports regions that lie over each other where one of them would be out of reach."""
    ordered = sorted(regions, key=lambda region: region.low)
    for number, first in enumerate(ordered):
        for second in ordered[number + 1 :]:
            if second.low >= first.high:
                break
            if frozenset((first.kind, second.kind)) not in _MAY_SHARE:
                _report_overlap(first, second, scope)


def _report_overlap(first: Region, second: Region, scope: Scope) -> None:
    early, late = sorted((first, second), key=_place)
    scope.problems.add(
        f"{late.name} overlaps {early.name}",
        late.span,
        found=f"{late.low:#x} to {late.high:#x}, "
        f"and {early.low:#x} to {early.high:#x} at line {early.span.line}",
    )


def _place(region: Region) -> tuple[int, int]:
    return (0, 0) if region.implicit else (region.span.line, region.span.column)

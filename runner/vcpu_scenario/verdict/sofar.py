"""Whether the exits that came can be the first of those expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.trace import Exit
from vcpu_scenario.verdict import match

_Place: TypeAlias = tuple[int, int]
"""An index into the pattern, and how many exits its item has taken."""


def holds_so_far(pattern: Sequence[ExpectedExit], exits: Sequence[Exit]) -> bool:
    """Whether ``exits`` fit ``pattern`` as far as they go; what would follow is left open."""
    states = match.states(exits)
    places: set[_Place] = {(0, 0)}
    for exit_, state in zip(exits, states, strict=True):
        places = {
            _after(place, pattern[place[0]])
            for place in _open(places, pattern)
            if not match.cost(pattern[place[0]], exit_, state)
        }
        if not places:
            return False
    return True


def _open(places: set[_Place], pattern: Sequence[ExpectedExit]) -> set[_Place]:
    """Every item that may take the next exit."""
    out: set[_Place] = set()
    for place in places:
        index, count = place
        while index < len(pattern):
            most = pattern[index].most
            if most is None or count < most:
                out.add((index, count))
            if count < pattern[index].least:
                break
            index, count = index + 1, 0
    return out


def _after(place: _Place, item: ExpectedExit) -> _Place:
    """One exit on; of an item without a most, no more is counted than it needs."""
    index, count = place
    return index, count + 1 if item.most is not None else min(count + 1, item.least)

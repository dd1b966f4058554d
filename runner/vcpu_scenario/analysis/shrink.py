"""Makes a case smaller while something about it still holds."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.analysis.compact import without_nops
from vcpu_scenario.case import Case, Load

Holds: TypeAlias = Callable[[Case], bool]

_NOP: Final = 0xD503_201F
_TRIES: Final = 400
"""How often a case is tried at most."""


def shrunk(case: Case, holds: Holds, *, exits: int) -> Case:
    """The smallest case found that ``holds``; ``exits`` is how many exits it has at most.

    What surrounds the guest goes first, then instructions become NOPs, in halves of what is left
    and one by one, until nothing more can go; at the last the NOPs go too, if that still holds.
    """
    left = _TRIES

    def attempt(candidate: Case) -> bool:
        nonlocal case, left
        if left <= 0 or candidate == case:
            return False
        left -= 1
        if holds(candidate):
            case = candidate
            return True
        return False

    _fewer_exits(case, attempt, exits)
    before = None
    while before != case and left > 0:
        before = case
        _less_around(lambda: case, attempt)
        _fewer_instructions(lambda: case, attempt)
    if not attempt(without_nops(case)):
        attempt(_without_tail(case))
    return case


def _fewer_exits(case: Case, attempt: Holds, exits: int) -> None:
    low, high = 0, min(exits, case.limits.exits)
    while high - low > 1:
        middle = (low + high) // 2
        if attempt(replace(case, limits=replace(case.limits, exits=middle))):
            high = middle
        else:
            low = middle


def _less_around(now: Callable[[], Case], attempt: Holds) -> None:
    for field in ("final_regs", "peek", "observe", "caps", "coalesced", "devices", "ioeventfds"):
        _fewer(now, attempt, field)
    for field, least in (("on", 0), ("before", 0), ("regs", 1), ("loads", 1), ("slots", 1)):
        _fewer(now, attempt, field, least)
    for number, (index, actions) in enumerate(now().on):
        for gone in range(len(actions)):
            on = list(now().on)
            if number >= len(on) or len(on[number][1]) <= 1 or gone >= len(on[number][1]):
                continue
            kept = (*on[number][1][:gone], *on[number][1][gone + 1 :])
            on[number] = (index, kept)
            attempt(replace(now(), on=tuple(on)))
    for change in ({"gic": None}, {"debug": None}, {"psci_0_2": True}):
        attempt(replace(now(), **change))


def _fewer(now: Callable[[], Case], attempt: Holds, field: str, least: int = 0) -> None:
    """Drop all of a field beyond the first ``least``, or else each by itself."""
    values: tuple[Any, ...] = getattr(now(), field)
    if len(values) <= least or attempt(_with(now(), field, values[:least])):
        return
    for value in values[least:]:
        values = tuple(other for other in getattr(now(), field) if other is not value)
        attempt(_with(now(), field, values))


def _with(case: Case, field: str, value: Any) -> Case:
    return replace(case, **{field: value})


def _fewer_instructions(now: Callable[[], Case], attempt: Holds) -> None:
    size = max(1, len(_words(now())) // 2)
    while True:
        for start in range(0, len(_words(now())), size):
            words = _words(now())
            blank = [_NOP] * len(words[start : start + size])
            if words[start : start + size] != blank:
                attempt(_with_words(now(), [*words[:start], *blank, *words[start + size :]]))
        if size == 1:
            return
        size //= 2


def _words(case: Case) -> list[int]:
    data = case.loads[0].data
    return list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))


def _with_words(case: Case, words: list[int]) -> Case:
    code = case.loads[0]
    rest = code.data[len(code.data) // 4 * 4 :]
    data = struct.pack(f"<{len(words)}I", *words) + rest
    return replace(case, loads=(Load(code.addr, data), *case.loads[1:]))


def _without_tail(case: Case) -> Case:
    words = list(_trim(_words(case)))
    return _with_words(case, words) if words else case


def _trim(words: list[int]) -> Iterator[int]:
    end = len(words)
    while end and words[end - 1] == _NOP:
        end -= 1
    yield from words[:end]

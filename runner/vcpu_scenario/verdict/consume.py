"""Whether a pattern fits a sequence as a whole, exactly and however long both are.

The places that the items so far can have led to are one number, a bit for each place, and so are
the things that fit an item: an item with its repeats is a few operations on such numbers, and no
table of items against things is ever made. What two that do not fit cost is no matter here: that
is what :mod:`vcpu_scenario.verdict.align` is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

_MOST_BITS: Final = 1 << 31
"""Sets of places kept for the way back: a quarter of a gigabyte."""


class Item(Protocol):
    """An entry of the pattern, which comes between ``least`` and ``most`` times in a row."""

    @property
    def least(self) -> int: ...

    @property
    def most(self) -> int | None: ...


class Fits(Protocol):
    """What fits an item: ``one`` tells of a thing, ``all`` has bit ``j`` set where thing ``j``
    does."""

    def one(self, item: int, thing: int) -> bool: ...

    def all(self, item: int) -> int: ...


def matches(pattern: Sequence[Item], count: int, fits: Fits) -> bool:
    """Whether ``pattern`` as a whole fits ``count`` things as a whole."""
    places = 1
    for number, item in enumerate(pattern):
        places = _after(places, number, item, fits, count)
        if not places:
            return False
    return bool(places >> count & 1)


def begins(pattern: Sequence[Item], count: int, fits: Fits) -> bool:
    """Whether ``count`` things can be the first of those that ``pattern`` fits."""
    places = 1
    for number, item in enumerate(pattern):
        most = count if item.most is None else item.most
        if _up_to(places, fits.all(number), most) >> count & 1:
            return True
        places = _after(places, number, item, fits, count)
    return bool(places >> count & 1)


def consumed(pattern: Sequence[Item], count: int, fits: Fits) -> tuple[int, ...] | None:
    """How many things each item takes where the pattern gets furthest, the last of them maybe
    fewer than its least; items that take nothing any more are left out.

    Of several ways earlier items take more. None where to keep the way would take too much memory.
    """
    kept: list[tuple[int, int]] = []  # the places before each item, without the zeros below
    places, bits = 1, 0
    furthest = last = 0
    for number, item in enumerate(pattern):
        low = (places & -places).bit_length() - 1
        kept.append((low, places >> low))
        bits += places.bit_length() - low
        if bits > _MOST_BITS:
            return None
        most = count if item.most is None else item.most
        reach = _up_to(places, fits.all(number), most).bit_length() - 1
        if reach >= furthest:
            furthest, last = reach, number
        places = _after(places, number, item, fits, count)
        if not places:
            break
    return tuple(_way_back(pattern, kept, last, furthest)) if pattern else ()


def _way_back(
    pattern: Sequence[Item], kept: Sequence[tuple[int, int]], last: int, furthest: int
) -> list[int]:
    end, out = furthest, []
    for number in range(last, -1, -1):
        low, places = kept[number]
        least = 0 if number == last else pattern[number].least
        within = places & ((1 << max(end - least - low + 1, 0)) - 1)
        start = low + within.bit_length() - 1
        out.append(end - start)
        end = start
    return out[::-1]


def _after(places: int, number: int, item: Item, fits: Fits, count: int) -> int:
    """The places that one item can lead to from ``places``."""
    if item.least == item.most == 1 and not places & (places - 1):
        place = places.bit_length() - 1
        return places << 1 if place < count and fits.one(number, place) else 0
    fitting = fits.all(number)
    places = _exactly(places, fitting, item.least)
    return _up_to(places, fitting, count if item.most is None else item.most - item.least)


def _exactly(places: int, fitting: int, times: int) -> int:
    return (places & _in_a_row(fitting, times)) << times if times else places


def _up_to(places: int, fitting: int, times: int) -> int:
    if times >= fitting.bit_length():
        # The carry of the sum runs through all that fits in a row, from each place on.
        return (((places & fitting) + fitting) ^ fitting) | places
    done = 0
    while done < times:
        by = min(done + 1, times - done)
        further = places | _exactly(places, fitting, by)
        if further == places:
            break
        places, done = further, done + by
    return places


def _in_a_row(fitting: int, times: int) -> int:
    """Where ``times`` things in a row fit, a bit for the first of them."""
    length = 1
    while length < times and fitting:
        by = min(length, times - length)
        fitting &= fitting >> by
        length += by
    return fitting

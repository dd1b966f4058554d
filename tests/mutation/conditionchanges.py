"""Conditions of a scenario changed at random."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from vcpu_scenario.kernels.release import KNOWN_RELEASES

from tests.mutation.leftover import CONDITIONS, Plain, number

SERIES: Final = [name for name in KNOWN_RELEASES if re.fullmatch(r"\d+\.\d+", name)]


def _a_range(random: Random) -> str | list[str]:
    low, high = sorted(random.sample(SERIES, 2), key=number)
    return random.choice(
        (
            f">={low}",
            f"<{high}",
            f"{low}..{high}",
            f">={low} <{high}",
            low,
            [f"<{low}", f">={high}"],
            "lts",
        )
    )


def _bodies(clause: Plain) -> Iterator[tuple[list[Any] | Plain, Any]]:
    """(where it is, under which key) of each exit, stop and entry of the ring."""
    for item in (*clause.get("exits", ()), *clause.get("never", ())):
        if isinstance(item, dict):
            yield from ((item, key) for key, body in item.items() if isinstance(body, dict))
    for key in ("stops",):
        yield from ((clause[key], n) for n in range(len(clause.get(key, ()))))
    ring = clause.get("final", {}).get("ring", ())
    yield from ((ring, n) for n in range(len(ring)))


def _places(clause: Plain) -> Iterator[tuple[Plain, str]]:
    """(mapping, key) of each value that may be one by case."""
    for owner, key in _bodies(clause):
        body = owner[key]
        if isinstance(body, dict):
            kept = (*CONDITIONS, "note", "then", "regs", "repeat")
            yield from ((body, name) for name in body if name not in kept)
            regs = body.get("regs", {})
            yield from ((regs, name) for name in regs)
    for key in ("regs", "eventfd", "output"):
        values = clause.get("final", {}).get(key, {})
        yield from ((values, name) for name in values)


def change(random: Random, document: Plain) -> None:
    clauses = [each for each in document["expect"] if isinstance(each, dict)]
    clause = random.choice(clauses)
    match random.randrange(6):
        case 0:
            clause["kernels"] = _a_range(random)
        case 1 | 2 if bodies := list(_bodies(clause)):
            _change_body(random, *random.choice(bodies))
        case _ if places := list(_places(clause)):
            _change_value(random, *random.choice(places))


def _change_body(random: Random, owner: Any, key: Any) -> None:
    body = owner[key]
    if not isinstance(body, dict):
        body = owner[key] = {"at": body}
    match random.randrange(4):
        case 0 if any(name in body for name in CONDITIONS):
            body.pop(random.choice([name for name in CONDITIONS if name in body]))
        case 1:
            body["vmm"] = random.choice((["plain"], ["qemu"], ["qemu", "plain"]))
        case _:
            body["kernels"] = _a_range(random)


def _change_value(random: Random, owner: Plain, key: str) -> None:
    value = owner[key]
    if isinstance(value, dict) and value and random.randrange(2):
        by_case = list(value)
        match random.randrange(3):
            case 0:
                value.pop(random.choice(by_case))
            case 1:
                first, second = random.choice(by_case), random.choice(by_case)
                value[first], value[second] = value[second], value[first]
            case _:
                range_ = _a_range(random)
                old = value.pop(random.choice(by_case))
                value[range_ if isinstance(range_, str) else ", ".join(range_)] = old
        return
    range_ = _a_range(random)
    name = range_ if isinstance(range_, str) else ", ".join(range_)
    other = random.choice((None, value, _other(value), _other(value)))
    first, second = random.choice(((value, other), (other, value)))
    owner[key] = {random.choice((name, name, name, "plain")): first, "else": second}


def _other(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    if isinstance(value, int):
        return value ^ 1
    return f"{value}+4" if re.fullmatch(r"[A-Za-z_]\w*", value) else value

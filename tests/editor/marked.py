"""Texts with places marked in them, as tests of editors need them."""

from __future__ import annotations

from typing import NamedTuple

from vcpu_scenario.authoring.template import MODELINE

HEAD = f"{MODELINE}../schemas/scenario.schema.json\n"


class Place(NamedTuple):
    """A stretch of one line; lines and columns count from 0 as the protocol has them."""

    line: int
    start: int
    end: int


def marked(text: str) -> tuple[str, set[Place]]:
    """``text`` without its marks ``«`` and ``»``, and what stood between them."""
    plain, places = [], set()
    for number, line in enumerate(text.split("\n")):
        while "«" in line:
            start = line.index("«")
            line = line.replace("«", "", 1)
            end = line.index("»")
            line = line.replace("»", "", 1)
            places.add(Place(number, start, end))
        plain.append(line)
    return "\n".join(plain), places


def cursor(text: str) -> tuple[str, int, int]:
    """``text`` without its cursor ``‸``, and the line and column where it stood."""
    before, _, after = text.partition("‸")
    line = before.count("\n")
    return before + after, line, len(before) - before.rfind("\n") - 1

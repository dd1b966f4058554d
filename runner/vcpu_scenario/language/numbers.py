"""Numbers as scenarios write them: ``4096``, ``0x0900_0000``, ``4KiB``, ``'A'``."""

from __future__ import annotations

import re
from typing import Final

from vcpu_scenario.language.nodes import Scalar

NUMBER: Final = (
    r"(0[xX][0-9A-Fa-f_]*[0-9A-Fa-f]|0[oO][0-7_]*[0-7]|[0-9](?:[0-9_]*[0-9])?)([KMGT]iB)?"
)
PLAIN = re.compile(rf"(-?){NUMBER}\Z")
_CHARACTER = re.compile(r"'([^'\\]|\\[nrt0'\\])'\Z")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_UNITS: Final = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def read_number(node: Scalar) -> int | None:
    """The integer that a scalar is by itself, a character its code; None for neither."""
    value = node.value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    character = _CHARACTER.match(node.text) if isinstance(value, str) else None
    if character is not None:
        return ord(_ESCAPED.get(character[1][1:], character[1][-1]))
    match = PLAIN.match(node.text) if isinstance(value, str) else None
    if match is None or len(node.text) > 80:
        return None
    sign, digits, unit = match.groups()
    magnitude = magnitude_of(digits, unit)
    return -magnitude if sign else magnitude


def magnitude_of(digits: str, unit: str | None) -> int:
    plain = digits.replace("_", "")[:80]
    base = {"0x": 16, "0o": 8}.get(plain[:2].lower(), 10)
    return int(plain, base) * _UNITS[unit]


def shown(value: int) -> str:
    return str(value) if abs(value) < 1 << 12 or value % 1000 == 0 else hex(value)

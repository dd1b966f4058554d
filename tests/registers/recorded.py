"""What real kernels answered to the surveys, kept in ``one-reg.json.xz``.

By kernel and situation a line for each register: its id, what it holds, and what came of each
value that :func:`~tests.registers.onereg.tried` gives, in that order.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.registers.onereg import SITUATIONS, tried
from tests.registers.surveys import Found

Recorded: TypeAlias = Mapping[str, Mapping[str, Found]]

FILE: Final = Path(__file__).with_name("one-reg.json.xz")
_FULLY: Final = {situation.name: situation.fully for situation in SITUATIONS}


@cache
def recorded() -> Recorded:
    """By kernel and situation."""
    document = json.loads(lzma.decompress(FILE.read_bytes()))
    return {
        kernel: {name: _found(rows, fully=_FULLY[name]) for name, rows in situations.items()}
        for kernel, situations in document.items()
    }


def _found(rows: list[Any], *, fully: bool) -> Found:
    found = {}
    for reg, value, outcomes in rows:
        written = dict(zip(tried(int(reg, 16), value, fully=fully), outcomes, strict=True))
        found[int(reg, 16)] = value, written
    return found


def record(kernel: str, situations: Mapping[str, Found]) -> None:
    """Keeps what ``kernel`` answered, in the place of what it answered before."""
    document = json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else {}
    document[kernel] = {
        name: [
            [f"{reg:#x}", value, list(written.values())] for reg, (value, written) in rows.items()
        ]
        for name, rows in situations.items()
    }
    text = json.dumps(document, separators=(",", ":"))
    FILE.write_bytes(lzma.compress(text.encode(), preset=9))

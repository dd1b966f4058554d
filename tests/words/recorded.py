"""What real kernels gave the guests of :mod:`.sweep`, kept in ``words.json.xz``: by CPU the digests
of each sweep. What an instruction does is the CPU's matter, whichever kernel runs it."""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Final

from tests.words.surveys import Found

FILE: Final = Path(__file__).with_name("words.json.xz")


@cache
def recorded() -> dict[str, Found]:
    """By CPU and title."""
    return json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else {}


def record(cpu: str, found: Found) -> None:
    """Keeps what ``cpu`` gave, in the place of what it gave before."""
    document = recorded() | {cpu: {**recorded().get(cpu, {}), **found}}
    FILE.write_bytes(lzma.compress(json.dumps(document, separators=(",", ":")).encode(), preset=9))

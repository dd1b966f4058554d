"""What real kernels answered, kept in ``calls.json.xz``: by kernel and sweep runs of answers."""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.hypercalls.sweep import Answer

FILE: Final = Path(__file__).with_name("calls.json.xz")


@cache
def recorded() -> Mapping[str, Mapping[str, Sequence[Answer]]]:
    """By kernel and title."""
    document = json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else {}
    return {
        kernel: {
            title: [tuple(answer) for answer, times in runs for _ in range(times)]
            for title, runs in found.items()
        }
        for kernel, found in document.items()
    }


def record(kernel: str, found: Mapping[str, Sequence[Answer]]) -> None:
    """Keeps what ``kernel`` answered, in the place of what it answered before."""
    document = json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else {}
    document[kernel] = {
        title: [[answer, sum(1 for _ in run)] for answer, run in groupby(answers)]
        for title, answers in found.items()
    }
    FILE.write_bytes(lzma.compress(json.dumps(document, separators=(",", ":")).encode(), preset=9))

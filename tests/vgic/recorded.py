"""What real kernels gave the guests of :mod:`.sweep`, kept in ``sweep.json.xz`` by kernel and name:
what was read, as runs of ``[value, how often]``."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("sweep.json.xz")


@cache
def recorded() -> Mapping[str, Mapping[str, Sequence[int]]]:
    """By kernel and sweep."""
    document = json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else {}
    return {
        kernel: {
            name: [value for value, times in runs for _ in range(times)]
            for name, runs in found.items()
        }
        for kernel, found in document.items()
    }


def record(kernel: str, found: Mapping[str, Iterable[int]]) -> None:
    """Keeps what ``kernel`` gave, in the place of what it gave before."""
    document = json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else {}
    document[kernel] = {
        name: [[value, sum(1 for _ in run)] for value, run in groupby(values)]
        for name, values in found.items()
    }
    FILE.write_bytes(lzma.compress(json.dumps(document, separators=(",", ":")).encode(), preset=9))

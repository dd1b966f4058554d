"""What real kernels gave to the cases of :mod:`.sweep`, kept in ``ioctls.json.xz``.

Each trace that there is once, and by kernel and title which of them it is.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from vcpu_scenario.interchange.traces import trace_from_json, trace_to_json
from vcpu_scenario.trace import Ending, Trace

from tests.ioctls.sweep import cases

FILE: Final = Path(__file__).with_name("ioctls.json.xz")


@cache
def recorded() -> Mapping[str, Mapping[str, Trace]]:
    """By kernel and title, :func:`without_wording`."""
    document = _document()
    traces = [without_wording(trace_from_json(trace)) for trace in document["traces"]]
    return {
        kernel: {title: traces[at] for title, at in found.items()}
        for kernel, found in document["kernels"].items()
    }


def record(kernel: str, found: Mapping[str, Trace]) -> None:
    """Keeps what ``kernel`` gave in the place of what it gave before, and no title of old."""
    kernels = {**recorded(), kernel: {**recorded().get(kernel, {}), **found}}
    texts: dict[str, int] = {}
    places = {
        name: {
            title: texts.setdefault(json.dumps(trace_to_json(without_wording(trace))), len(texts))
            for title, trace in traces.items()
            if title in cases()
        }
        for name, traces in kernels.items()
    }
    document = {"traces": [json.loads(text) for text in texts], "kernels": places}
    text = json.dumps(document, separators=(",", ":"))
    FILE.write_bytes(lzma.compress(text.encode(), preset=9))
    recorded.cache_clear()


def without_wording(trace: Trace) -> Trace:
    """All but what a refused ioctl is called, of which the errno counts, and where a guest was
    that spun until it was cut off."""
    exits = trace.exits
    if trace.ended is Ending.INTERRUPTED:
        exits = (*exits[:-1], replace(exits[-1], pc=0, regs={}))
    return replace(trace, exits=exits, error=None, refused="", entries=())


def _document() -> dict[str, Any]:
    if not FILE.exists():
        return {"traces": [], "kernels": {}}
    document: dict[str, Any] = json.loads(lzma.decompress(FILE.read_bytes()))
    return document

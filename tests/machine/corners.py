"""Corners that no recorded job has, each with what real kernels gave: cases and their traces.

``corners.json.xz`` holds by name ``{"case": ..., "traces": {kernel: ...}}`` in the form in which
both travel to a lab and back. Debian's 5.10.223, 6.1.192, 6.12.118 (QEMU 7.2, Cortex-A57) and
7.2.13 (Cortex-A72).
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from vcpu_scenario.case import Case
from vcpu_scenario.interchange.cases import case_from_json, case_to_json
from vcpu_scenario.interchange.traces import trace_from_json, trace_to_json
from vcpu_scenario.trace import Trace

FILE: Final = Path(__file__).with_name("corners.json.xz")


@dataclass(frozen=True, slots=True)
class Corner:
    """A case and its traces by kernel."""

    case: Case
    traces: Mapping[str, Trace]


@cache
def corners() -> Mapping[str, Corner]:
    """By name."""
    document: dict[str, Any] = json.loads(lzma.decompress(FILE.read_bytes()))
    return {
        name: Corner(
            case_from_json(found["case"]),
            {kernel: trace_from_json(trace) for kernel, trace in found["traces"].items()},
        )
        for name, found in document.items()
    }


def save(found: Mapping[str, Corner]) -> None:
    """Keeps ``found`` in the place of what there was."""
    document = {
        name: {
            "case": case_to_json(corner.case),
            "traces": {kernel: trace_to_json(trace) for kernel, trace in corner.traces.items()},
        }
        for name, corner in found.items()
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    FILE.write_bytes(lzma.compress(text.encode(), preset=9))

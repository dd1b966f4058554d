"""A guest as an ELF executable, as ``qemu-system-aarch64 -kernel`` loads it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from vcpu_scenario.case import Load

_IDENTITY: Final = b"\x7fELF\x02\x01\x01" + bytes(9)
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_EXECUTABLE: Final = 2
_AARCH64: Final = 183
_VERSION: Final = 1
_LOAD: Final = 1
_RWX: Final = 7
_ALIGNMENT: Final = 4


def executable(loads: Sequence[Load], entry: int) -> bytes:
    """ELF64 for AArch64 with a segment for each load, at its physical address."""
    here = _HEADER.size + _SEGMENT.size * len(loads)
    header = _HEADER.pack(
        _IDENTITY,
        _EXECUTABLE,
        _AARCH64,
        _VERSION,
        entry,
        _HEADER.size,
        *(0, 0),
        _HEADER.size,
        _SEGMENT.size,
        len(loads),
        *(0, 0, 0),
    )
    segments, contents = b"", b""
    for load in loads:
        size = len(load.data)
        at = here + len(contents)
        segments += _SEGMENT.pack(_LOAD, _RWX, at, load.addr, load.addr, size, size, _ALIGNMENT)
        contents += load.data
    return header + segments + contents

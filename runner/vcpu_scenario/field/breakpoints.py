"""Breakpoint and watchpoint registers, as a trace prints them, to what a VMM asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ENABLED: Final = 1
_WAYS: Final = {1: "r", 2: "w", 3: "rw"}
"""DBGWCR_EL1.LSC."""


def breakpoints(registers: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The addresses of those that are enabled, of (control, value) pairs."""
    return tuple(value for control, value in registers if control & _ENABLED)


def watchpoints(registers: Sequence[tuple[int, int]]) -> tuple[tuple[int, int, str], ...]:
    """(address, bytes, way) of those that are enabled and select some bytes."""
    found = (_watchpoint(control, value) for control, value in registers if control & _ENABLED)
    return tuple(one for one in found if one is not None)


def _watchpoint(control: int, value: int) -> tuple[int, int, str] | None:
    selected, mask, way = control >> 5 & 0xFF, control >> 24 & 0x1F, _WAYS.get(control >> 3 & 3)
    if not selected or way is None:
        return None
    if mask:  # then all bytes of so many bits of the address are watched
        return value & -(1 << mask), 1 << mask, way
    first = (selected & -selected).bit_length() - 1
    length = selected.bit_count()
    if selected >> first != (1 << length) - 1:
        return None  # no request selects bytes with gaps
    return (value & ~7) + first, length, way

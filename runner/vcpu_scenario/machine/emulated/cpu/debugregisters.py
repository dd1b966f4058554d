"""Values of the CPU's debug registers."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

BREAKPOINTS: Final = 6
WATCHPOINTS: Final = 4


class DebugRegisters(Struct, frozen=True):
    """Values of DBGBCR, DBGBVR, DBGWCR and DBGWVR, one entry a slot."""

    bcr: tuple[int, ...] = (0,) * BREAKPOINTS
    bvr: tuple[int, ...] = (0,) * BREAKPOINTS
    wcr: tuple[int, ...] = (0,) * WATCHPOINTS
    wvr: tuple[int, ...] = (0,) * WATCHPOINTS

    @property
    def breakpoints(self) -> tuple[int, ...]:
        return self.bcr + self.bvr

"""Values of the CPU's debug registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BREAKPOINTS: Final = 6
WATCHPOINTS: Final = 4


@dataclass(frozen=True, slots=True)
class DebugRegisters:
    """Values of DBGBCR, DBGBVR, DBGWCR and DBGWVR, one entry a slot."""

    bcr: tuple[int, ...] = (0,) * BREAKPOINTS
    bvr: tuple[int, ...] = (0,) * BREAKPOINTS
    wcr: tuple[int, ...] = (0,) * WATCHPOINTS
    wvr: tuple[int, ...] = (0,) * WATCHPOINTS

    @property
    def breakpoints(self) -> tuple[int, ...]:
        return self.bcr + self.bvr

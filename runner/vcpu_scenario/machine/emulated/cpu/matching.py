"""Which breakpoints of the CPU match, as the recorded CPU finds out: those that are for an address,
linked to a context or not."""

from __future__ import annotations

from typing import Final, Protocol

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.cpu.controls import MDCR_TDE
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware

LINKED_ADDRESS: Final = 1
"""DBGBCR_EL1.BT: linked, and matches an address, as does what is below it."""
SECURE_ONLY: Final = 2
"""DBGBCR_EL1.SSC and that of DBGWCR_EL1: never here."""
MDE: Final = 1 << 15
_CONTEXT_BREAKPOINTS: Final = (4, 5)
"""Which can be for a context: the last two of a Cortex-A57."""
_LINKED_CONTEXT: Final = (3, 7)
"""DBGBCR_EL1.BT: linked, and matches CONTEXTIDR_EL1."""
_UPPER_HALF: Final = 0xC
"""DBGBCR_EL1.BAS: of a word, which no instruction of A64 begins with."""


class Breakpoints(Protocol):
    """DBGBCR and DBGBVR, one entry a slot."""

    @property
    def bcr(self) -> tuple[int, ...]: ...

    @property
    def bvr(self) -> tuple[int, ...]: ...


def takes_debug_exceptions(cpu: Hardware) -> bool:
    """Whether breakpoints and watchpoints are on where the guest is."""
    return bool(cpu.mdscr & MDE and (cpu.mdcr & MDCR_TDE or cpu.takes_debug_exceptions))


def breaks(cpu: Hardware, registers: Breakpoints) -> bool:
    """Whether a breakpoint is hit at pc."""
    level = 1 if cpu.current_el else 2
    return takes_debug_exceptions(cpu) and any(
        control & 1
        and value & ~3 == cpu.pc
        and control >> 1 & level
        and control >> 5 & 15 not in (0, _UPPER_HALF)
        and control >> 14 & 3 != SECURE_ONLY
        and (kind := control >> 20 & 15) <= LINKED_ADDRESS
        and (not kind or linked_matches(cpu, registers, control >> 16 & 15))
        for control, value in zip(registers.bcr, registers.bvr, strict=True)
    )


def linked_matches(cpu: Hardware, registers: Breakpoints, linked: int) -> bool:
    """Whether the breakpoint that another one or a watchpoint is linked to is for the context that
    runs."""
    if linked not in _CONTEXT_BREAKPOINTS:
        return False
    control, value = registers.bcr[linked], registers.bvr[linked]
    if not control & 1 or control >> 20 & 15 not in _LINKED_CONTEXT:
        return False
    return cpu.read_sys(sysregs.CONTEXTIDR_EL1) == value & 0xFFFF_FFFF

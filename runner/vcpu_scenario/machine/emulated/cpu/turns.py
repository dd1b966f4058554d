"""One CPU that runs several vCPUs by turns: what of it each keeps while another one runs.

Memory, stage 2 and translated code are the CPU's own, so that what one vCPU writes, also to code,
is there for the others. The translation of addresses is forgotten at each turn, as are exclusive
monitors.
"""

from __future__ import annotations

from ctypes import c_void_p
from typing import Any, Final, NamedTuple

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.core import Cpu
from vcpu_scenario.machine.emulated.cpu.debugregisters import DebugRegisters
from vcpu_scenario.machine.emulated.cpu.sysreghook import FPEN, SCTLR_A

_BESIDE_UNICORN: Final = (
    "attended",
    "gic",
    "gicv",
    "vserror",
    "id_registers",
    "timers",
    "perf",
    "failed_pc",
    "status",
    "hsr",
    "far",
    "ipa",
    "left",
    "_raised",
    "_failed_store",
    "_mdcr",
    "mdscr",
    "_hcr",
    "traps_dc_zva",
    "may_be_illegal",
)


class Kept(NamedTuple):
    """The state of a vCPU that is not on the CPU."""

    registers: c_void_p
    """Unicorn's context, in which no breakpoint is armed: it would point to those of another."""
    beside: tuple[Any, ...]


class Turns:
    """Takes vCPUs off ``cpu`` and puts them on it."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu

    def take_off(self) -> Kept:
        """The state of the vCPU that is on the CPU, which may then be put on again."""
        cpu = self._cpu
        cpu.debug.load(DebugRegisters())
        registers = cpu.engine.new_context()
        uc.uc_context_save(cpu.engine.handle, registers)
        return Kept(registers, tuple(getattr(cpu, name) for name in _BESIDE_UNICORN))

    def put_on(self, kept: Kept) -> None:
        """Goes on as ``kept`` was; its guest's debug registers are still to be loaded."""
        cpu = self._cpu
        simd, checked = _simd(cpu), _checks_alignment(cpu)
        uc.uc_context_restore(cpu.engine.handle, kept.registers)
        for name, value in zip(_BESIDE_UNICORN, kept.beside, strict=True):
            setattr(cpu, name, value)
        cpu.unprepared = True
        cpu.untrap_dc_zva = False
        self.forget(kept)
        cpu.reassert_hcr()
        cpu.engine.flush_tlb()
        cpu.hooks_changed(
            by_turn=True,
            simd=_simd(cpu) != simd,
            alignment=_checks_alignment(cpu) if _checks_alignment(cpu) != checked else None,
        )

    def forget(self, kept: Kept) -> None:
        """What was kept is not put on any more."""
        self._cpu.engine.give_back(kept.registers)


def _simd(cpu: Cpu) -> int:
    return cpu.read_sys(sysregs.CPACR_EL1) & FPEN


def _checks_alignment(cpu: Cpu) -> bool:
    return bool(cpu.sctlr_el1.value & SCTLR_A)

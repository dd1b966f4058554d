"""AT of stage 1, where Unicorn's is not the hardware's."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.machine.emulated.cpu.aborts import set_access_flag, table_walk_abort
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.walk import (
    Unmapped,
    misplaced,
    oversized,
    refuse_misplaced,
    unflagged_leaf,
    unmapped_table,
)
from vcpu_scenario.machine.errors import NotModelled

_PAR_F: Final = 1
_PAR_RES1: Final = 1 << 11
_OF_EL0: Final = 1 << 6
_TO_WRITE: Final = 1 << 5
"""Whose access AT translates, and which."""
_READONLY: Final = 1 << 7
"""AP[2] of a descriptor."""
_MISPLACED: Final = -1
"""In place of the level of a fault: there is none, and the address is another."""
_S1E1R, _S1E1RP = 0xD508_7800, 0xD508_7900


def is_at(model: CpuModel, word: int) -> bool:
    """AT S1E1R, S1E1W, S1E0R or S1E0W, and S1E1RP or S1E1WP of a CPU that has them (FEAT_PAN2)."""
    by_pan = model.armv8_2 and word & 0xFFFF_FFC0 == _S1E1RP
    return by_pan or word & 0xFFFF_FF80 == _S1E1R


def fault(cpu: Hardware, word: int) -> int | Unmapped | None:
    """What Unicorn misses of AT: the level of an address size fault, or the descriptor that stage 2
    keeps from its walk or in which the access flag is to be set."""
    if not cpu.mmu_on:
        return None
    va = cpu.x_or_zero(word & 31)
    level = oversized(cpu, va)
    if level is None and misplaced(cpu, va):
        return _MISPLACED
    return unmapped_table(cpu, va) or unflagged_leaf(cpu, va) if level is None else level


def finish(cpu: Hardware, word: int) -> int | None:
    """Does what Unicorn misses."""
    found, va = fault(cpu, word), cpu.x_or_zero(word & 31)
    if found == _MISPLACED:
        refuse_misplaced(cpu, va)
    if isinstance(found, Unmapped):
        slot = cpu.stage2.slot_at(found.at)
        if slot is None or not slot.maps(found.at):
            return table_walk_abort(cpu, esr.EC_DABT_CUR, va, found.at)
        readonly = cpu.stage2.word(found.at) & _READONLY
        if word & _OF_EL0 or (word & _TO_WRITE and readonly):
            raise NotModelled("AT of what may not be accessed, with TCR_EL1.HA (FEAT_HAFDBS)")
        cpu.hsr = 0
        return set_access_flag(cpu, esr.EC_DABT_CUR, va, found)
    cpu.write_sys(sysregs.PAR_EL1, _PAR_RES1 | (found or 0) << 1 | _PAR_F)
    return cpu.finish_natively()

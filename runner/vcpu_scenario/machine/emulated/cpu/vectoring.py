"""Exceptions that Unicorn takes to EL1: whether the hardware would, and with which syndrome."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.machine.emulated.cpu import aborts, debugexceptions, native
from vcpu_scenario.machine.emulated.cpu.alignment import misaligned
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.walk import oversized, unflagged_leaf, unmapped_table

_ABORTS: Final = (esr.EC_IABT_LOW, esr.EC_IABT_CUR, esr.EC_DABT_LOW, esr.EC_DABT_CUR)
_DATA_ABORTS: Final = _ABORTS[2:]
_FAULT_STATUS: Final = 0x3F
"""DFSC or IFSC: below an external abort are the faults of a translation."""
_EXTERNAL: Final = 0x10
_FAULT_TYPE: Final = 0x3C
_ACCESS_FLAG: Final = 0x08


def taken_to_el1(cpu: Hardware) -> int | None:
    exception = cpu.hsr >> esr.EC_SHIFT
    if (settle := native.ABOVE_UNICORN.get(exception)) is not None:
        try:
            return settle(cpu)
        except debugexceptions.NotHandled:
            pass
    if exception not in _ABORTS:
        cpu.take_to_el1(cpu.hsr)
        return None
    va = cpu.vaddress.value
    is_data = exception in _DATA_ABORTS
    if not is_data:
        if aborts.fetched_on(cpu, va):
            return misaligned(cpu)
        if aborts.fetched_below(cpu, va) and cpu.step_due:
            return debugexceptions.pending_step(cpu)
        if _breaks(cpu):
            return debugexceptions.breakpoint_at(cpu)
    if cpu.mmu_on:
        translated = cpu.hsr & _FAULT_STATUS < _EXTERNAL
        if translated and (level := oversized(cpu, va)) is not None:
            cpu.take_to_el1(cpu.hsr & ~_FAULT_STATUS | level, va)
            return None
        if (table := unmapped_table(cpu, va)) is not None:
            return aborts.table_walk_abort(cpu, exception, va, table.at)
        if cpu.hsr & _FAULT_TYPE == _ACCESS_FLAG and (leaf := unflagged_leaf(cpu, va)):
            return aborts.set_access_flag(cpu, exception, va, leaf)
    if is_data and cpu.is_big_endian:
        va = aborts.first_half(cpu, cpu.word_at_pc(), va)
    cpu.take_to_el1(cpu.hsr, va)
    return None


def fetch_abort(cpu: Hardware) -> int | None:
    """An instruction that stage 2 does not let the guest fetch."""
    return debugexceptions.breakpoint_at(cpu) if _breaks(cpu) else aborts.fetch_abort(cpu)


def _breaks(cpu: Hardware) -> bool:
    """A breakpoint comes before what is wrong with the fetch: QEMU looks for it first."""
    return not cpu.step_due and cpu.watchpoints.breaks

"""The stage 1 walk of EL1&0, as a VMM does it for its debugger: registers and memory alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.interface import Machine

_SCTLR_M: Final = 1
_GRANULES_0: Final = {0: 12, 1: 16, 2: 14}
_GRANULES_1: Final = {1: 14, 2: 12, 3: 16}
"""The shift of a page by TCR_EL1.TG0 and TG1 (DDI 0487, D24.2.187)."""
_ADDRESS: Final = (1 << 48) - 1
_LAST_LEVEL: Final = 3


class _Half(NamedTuple):
    """One half of the address space: its table, the bits that it takes, the shift of a page."""

    table: int
    bits: int
    shift: int


def translate(machine: Machine, word: Callable[[int], int | None], addr: int) -> int | None:
    """The IPA of the virtual address ``addr``, None where nothing is mapped.

    ``word`` reads 8 bytes at an IPA, None where there is no memory.
    """
    if not machine.get_one_reg(id_of("sctlr_el1")) & _SCTLR_M:
        return addr if addr <= _ADDRESS else None
    half = _half(machine, addr)
    return None if half is None else _walk(half, word, addr)


def _half(machine: Machine, addr: int) -> _Half | None:
    tcr = machine.get_one_reg(id_of("tcr_el1"))
    upper = addr >> 55 & 1
    size, granule, disabled, ignore = (
        (tcr >> 16 & 0x3F, _GRANULES_1.get(tcr >> 30 & 3), tcr >> 23 & 1, tcr >> 38 & 1)
        if upper
        else (tcr & 0x3F, _GRANULES_0.get(tcr >> 14 & 3), tcr >> 7 & 1, tcr >> 37 & 1)
    )
    bits = 64 - size
    above = (addr >> bits) & (1 << (55 if ignore else 64) - bits) - 1 if bits < 55 else upper
    sign = (1 << (55 if ignore else 64) - bits) - 1 if upper and bits < 55 else upper
    if granule is None or disabled or above != sign or not 16 <= size <= 48:
        return None
    table = machine.get_one_reg(id_of("ttbr1_el1" if upper else "ttbr0_el1"))
    return _Half(table & _ADDRESS & ~1, bits, granule)


def _walk(half: _Half, word: Callable[[int], int | None], addr: int) -> int | None:
    stride = half.shift - 3
    level = _LAST_LEVEL + 1 - -(-(half.bits - half.shift) // stride)
    table = half.table
    top = half.bits
    while True:
        shift = half.shift + stride * (_LAST_LEVEL - level)
        index = (addr & (1 << top) - 1) >> shift
        entry = word(table + 8 * index)
        if entry is None or not entry & 1:
            return None
        target = entry & _ADDRESS & ~((1 << half.shift) - 1)
        if level == _LAST_LEVEL:
            return target | addr & (1 << shift) - 1 if entry & 2 else None
        if not entry & 2:
            return target & ~((1 << shift) - 1) | addr & (1 << shift) - 1
        table, top, level = target, shift, level + 1

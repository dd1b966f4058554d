"""``struct kvm_regs`` by its bytes: what an id within the core registers is where KVM does not look
at it (``core_ids_checked``), whichever register begins there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vcpu_scenario.kvm.registers import (
    CORE_REGISTERS,
    CORE_WORDS,
    FP_REGISTERS,
    core_reg,
    resized,
    size_of,
    word_of,
)
from vcpu_scenario.machine.emulated.kvm.access import Access
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu

_SIZES: Final = (4, 8, 16)
_FIELDS: Final = (*CORE_REGISTERS.values(), *FP_REGISTERS.values())


def every(registers: Mapping[int, Access]) -> Iterator[tuple[int, Access]]:
    """Each id of 4, 8 or 16 bytes with its access, by way of ``registers``."""
    for word in range(CORE_WORDS):
        for size in _SIZES:
            if word + size // 4 < CORE_WORDS:
                reg = resized(core_reg(4 * word), size)
                yield reg, registers.get(reg) or _bytes(4 * word, size, registers)


def _bytes(start: int, size: int, registers: Mapping[int, Access]) -> Access:
    fields = [
        (8 * (4 * word_of(reg) - start), registers[reg])
        for reg in _FIELDS
        if start - size_of(reg) < 4 * word_of(reg) < start + size
    ]
    kept = (1 << 8 * size) - 1

    def read(vcpu: Vcpu) -> int:
        return sum(_shifted(of_cpu(vcpu), left) for left, (of_cpu, _) in fields) & kept

    def write(vcpu: Vcpu, value: int) -> None:
        for left, (of_cpu, to_cpu) in fields:
            to_cpu(vcpu, of_cpu(vcpu) & ~_shifted(kept, -left) | _shifted(value, -left))

    return read, write


def _shifted(value: int, left: int) -> int:
    return value << left if left > 0 else value >> -left

"""The walk that Rust VMMs make for their debugger: through TTBR1_EL1 alone, 4 KiB pages."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.memory import Memory, Unreachable

_4K: Final = 2


def translate(machine: Machine, memory: Memory, addr: int) -> int:
    """The IPA of an address of the kernel's half; the address itself before TCR_EL1 is set."""
    tcr = machine.get_one_reg(id_of("tcr_el1"))
    if not tcr >> 16 & 0x3F:
        return addr
    if tcr >> 30 & 3 != _4K:
        raise Unreachable(addr)
    return memory.translate(addr)


def is_kernel(addr: int) -> bool:
    """Whether bit 55 says that TTBR1 translates the address."""
    return bool(addr >> 55 & 1)

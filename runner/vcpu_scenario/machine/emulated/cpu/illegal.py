"""The illegal execution state (PSTATE.IL), which Unicorn gets into and does not act on.

The ERET that leads there is hooked and done here; the next instruction is an exception.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.controls import MDCR_TDE
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.regfile import DAIF, EL0T, EL1H, EL1T, IL, PAN, SS, UAO

_ERET: Final = 0xD69F_03E0
_MSR_SPSR: Final = 0xD518_4000
_EC_ILLEGAL: Final = 0x0E
_NZCV: Final = 0xF << 28
_MODE: Final = 0x1F
_AARCH32_USER: Final = 0x10
_LEGAL: Final = frozenset({EL0T, EL1T, EL1H, _AARCH32_USER})

_A64: Final = 1 << 32
MODELLED: Final = frozenset(
    _A64 | mode | sum(bits)
    for mode in (EL0T, EL1T, EL1H)
    for bits in product((0, SS), (0, IL), (0, PAN))
)
"""The execution states that are: AArch64, at EL1 or EL0."""


def is_return(word: int) -> bool:
    """ERET."""
    return word == _ERET


def writes_spsr(word: int) -> bool:
    """MSR SPSR_EL1, without which no ERET of a guest is illegal."""
    return word & ~0x1F == _MSR_SPSR


def is_odd(spsr: int) -> bool:
    """Whether an ERET by this SPSR_EL1 is illegal: by the state, or a mode there is no way to."""
    return bool(spsr & IL) or spsr & _MODE not in _LEGAL


def returns_illegally(cpu: Hardware) -> bool:
    """Whether an ERET now gets into the state."""
    return bool(cpu.current_el) and is_odd(cpu.spsr_el1.value)


def return_(cpu: Hardware) -> int | None:
    """The ERET at pc. An illegal one keeps exception level and stack pointer."""
    spsr, old = cpu.spsr_el1.value, cpu.pstate
    taken = _NZCV | DAIF | (_MODE if spsr & _MODE in _LEGAL else 0)
    stepped = bool(cpu.mdcr & MDCR_TDE) or cpu.takes_debug_exceptions
    step = old & SS if stepped else spsr & SS & -(cpu.mdscr & 1)
    cpu.exclusive.value = -1
    cpu.change_pstate(old, old & ~(taken | SS) | spsr & taken | IL | step)
    cpu.rebuild_flags()
    cpu.pc = cpu.elr_el1.value
    if not stepped:
        return None
    cpu.pc -= 4
    return cpu.finish_natively()


def is_next(cpu: Hardware) -> bool:
    """Whether the exception of the state is what comes next. Unicorn takes what goes before: a step
    that pends, an interrupt, and all that is wrong with the fetch."""
    if cpu.pc & 3 or cpu.step_due or cpu.interrupt_lines & ~cpu.pstate:
        return False
    ipa = cpu.engine.translate(cpu.pc, uc.UC_PROT_EXEC) if cpu.mmu_on else cpu.pc
    slot = None if ipa is None else cpu.stage2.slot_at(ipa)
    return slot is not None and ipa is not None and slot.maps(ipa)


def take(cpu: Hardware) -> None:
    """The exception."""
    cpu.take_to_el1(_EC_ILLEGAL << esr.EC_SHIFT | esr.IL)


def strange(state: int) -> str:
    """What the guest got into by an exception return that Unicorn does not do as the hardware."""
    if state & UAO:
        return "PSTATE.UAO"
    return "AArch32 state, to which the guest went by an exception return"

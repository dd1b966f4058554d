"""Instructions that the hardware has and Unicorn lacks or gets wrong.

Unicorn raises UNDEFINED for system registers it does not know: those of the virtual GIC are done
here, those that trap to EL2 are reported so. DC ZVA may be trapped before Unicorn runs it.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.arm64.sysregs import Encoding, encoding_of
from vcpu_scenario.machine.emulated.cpu.aborts import zero_block_abort
from vcpu_scenario.machine.emulated.cpu.controls import HCR_TID2
from vcpu_scenario.machine.emulated.cpu.debugexceptions import (
    NotHandled,
    breakpoint_hit,
    own_breakpoint,
    own_step,
    software_step,
)
from vcpu_scenario.machine.emulated.cpu.features import check_system
from vcpu_scenario.machine.emulated.cpu.gicport import GicPort
from vcpu_scenario.machine.emulated.cpu.hardware import EXIT_IRQ, Hardware
from vcpu_scenario.machine.emulated.cpu.icv import UNDEF
from vcpu_scenario.machine.errors import NotModelled

_MSR_OR_MRS: Final = 0b1101010100
_DC_ZVA_ISS: Final = 1 << 20 | 3 << 14 | 1 << 17 | 7 << 10 | 4 << 1
_BLOCK: Final = 64
_TRAPPED_DEBUG: Final = {sysregs.MDCCSR_EL0}
"""Debug registers that the recorded CPU has, and traps for KVM, and Unicorn lacks:
MDCCSR_EL0."""
_MRS_ISR_EL1: Final = 0xD538_C100
_ISR_A: Final = 1 << 8
_SYS64: Final = esr.EC_SYS64 << esr.EC_SHIFT | esr.IL
_ONE_WAY: Final[dict[bool, frozenset[Encoding]]] = {
    True: frozenset({sysregs.OSLAR_EL1}),
    False: frozenset(
        {
            sysregs.MDRAR_EL1,
            sysregs.OSLSR_EL1,
            sysregs.DBGAUTHSTATUS_EL1,
            sysregs.MDCCSR_EL0,
        }
    ),
}
"""Debug registers that cannot be read (True) or written (False): undefined, which comes before
any trap."""
_IMPLEMENTATION_DEFINED: Final = frozenset(
    {
        sysregs.L2CTLR_EL1,
        sysregs.L2ECTLR_EL1,
        sysregs.L2ACTLR_EL1,
        sysregs.CPUACTLR_EL1,
        sysregs.CPUECTLR_EL1,
        sysregs.CPUMERRSR_EL1,
        sysregs.L2MERRSR_EL1,
    }
)
"""Registers of a Cortex-A57 alone: 0, whatever is written. KVM traps them by HCR_EL2.TIDCP, of
which the recorded CPU knows nothing."""
_COUNTERS: Final = {(3, 3, 14, crm, op2) for crm in (8, 12) for op2 in (4, 5)}
"""The event counters of a Cortex-A57 that Unicorn's lacks."""
_PMU_BEYOND_THE_TRAP: Final = {
    True: {sysregs.PMSELR_EL0, sysregs.PMCCNTR_EL0, sysregs.PMXEVCNTR_EL0}
    | {(3, 3, 14, 8, n) for n in range(8)},
    False: {sysregs.PMSWINC_EL0, sysregs.PMSELR_EL0},
}
"""Of the PMU at EL0 what is read (True) or written past MDCR_EL2.TPM where PMUSERENR_EL0 lets
it, on the CPU that was recorded; the architecture has the trap come first. What is there is the
host's: each counter as the last one of any guest has left it."""
_SECURE_TIMER_OP1: Final = 7
PMU_GROUPS: Final = {(9, 12), (9, 13), (9, 14)} | {(14, crm) for crm in range(8, 16)}
"""CRn and CRm of the PMU's registers."""
_DAIF_IMMEDIATE: Final = 0xD503_40DF
_TDCC: Final = 1 << 12
"""MDSCR_EL1: the debug communications channel is not for EL0."""


def check_half_precision(cpu: Hardware, word: int) -> None:
    """Raises :class:`~vcpu_scenario.machine.errors.NotModelled` where ``word``, which Unicorn
    does not run, may be an instruction of a CPU that calculates in half precision."""
    if cpu.model.armv8_2 and word >> 25 & 7 == 7:
        raise NotModelled(
            f"the instruction {word:#010x}: half precision, or unallocated (FEAT_FP16)"
        )


def undefined(cpu: Hardware) -> int | None:
    """An instruction that Unicorn finds UNDEFINED. Raises :class:`NotHandled` if it is."""
    word = cpu.word_at_pc()
    if word >> 22 != _MSR_OR_MRS:
        check_half_precision(cpu, word)
        raise NotHandled
    check_system(cpu, word)
    if not cpu.current_el:
        return _undefined_at_el0(cpu, word)
    if not word >> 20 & 1:
        raise NotHandled
    encoding = encoding_of(word)
    is_read = bool(word >> 21 & 1)
    if encoding in _ONE_WAY[is_read]:
        raise NotHandled
    if encoding in _IMPLEMENTATION_DEFINED and not cpu.model.armv8_2:
        return _raz_wi(cpu, word)
    if encoding in _COUNTERS:
        return _report_trap(cpu, word, encoding)
    gic = cpu.gic
    if encoding in _TRAPPED_DEBUG or (gic is not None and gic.traps(encoding, is_read=is_read)):
        return _report_trap(cpu, word, encoding)
    if gic is None:
        raise NotHandled
    rt = word & 31
    if is_read:
        value = gic.icc_read(encoding)
        if value is UNDEF:
            raise NotHandled
        cpu.set_x(rt, value)
    elif not gic.icc_write(encoding, cpu.x_or_zero(rt)):
        raise NotHandled
    return finish_gic_access(cpu, gic)


def finish_gic_access(cpu: Hardware, gic: GicPort) -> int | None:
    """An access to the CPU interface is done, and may have raised its maintenance interrupt."""
    cpu.sync_interrupt_lines()
    outcome = cpu.finish_natively()
    return EXIT_IRQ if outcome is None and gic.maintenance() else outcome


def _undefined_at_el0(cpu: Hardware, word: int) -> int | None:
    encoding = encoding_of(word)
    is_read = bool(word >> 21 & 1)
    if word & ~(1 << 5 | 15 << 8) == _DAIF_IMMEDIATE:
        # The recorded CPU has op1 and op2 in each other's place.
        immediate, op2 = word >> 8 & 15, word >> 5 & 7
        cpu.take_to_el1(_SYS64 | 3 << 17 | op2 << 14 | 4 << 10 | 31 << 5 | immediate << 1)
        return None
    if encoding in _COUNTERS:
        return _pmu_at_el0(cpu, word, encoding)
    if encoding not in _TRAPPED_DEBUG or encoding in _ONE_WAY[is_read]:
        raise NotHandled
    if cpu.mdscr & _TDCC:
        raise NotModelled("a trap of the debug communications channel (MDSCR_EL1.TDCC)")
    return _report_trap(cpu, word, encoding)


def trap_to_el1(cpu: Hardware) -> int | None:
    """EC 0x18 that Unicorn takes to EL1. Raises :class:`NotHandled` where the hardware does."""
    encoding = iss_encoding(cpu.hsr & 0x1FFFFFF)
    if encoding[1] == _SECURE_TIMER_OP1:
        # There is no EL3 that could let EL1 have it.
        cpu.take_to_el1(esr.IL)
        return None
    if not cpu.current_el and encoding[0] == 3 and encoding[2:4] in PMU_GROUPS:
        return _pmu_at_el0(cpu, cpu.word_at_pc(), encoding)
    raise NotHandled


def _pmu_at_el0(cpu: Hardware, word: int, encoding: Encoding) -> int | None:
    """KVM's host opens the PMU to EL0 (PMUSERENR_EL0), so that MDCR_EL2.TPM traps it."""
    if encoding in _PMU_BEYOND_THE_TRAP[bool(word >> 21 & 1)]:
        if cpu.perf.used or word >> 21 & 1:
            name = "S{}_{}_C{}_C{}_{}".format(*encoding)
            raise NotModelled(f"the PMU's {name} at EL0, which the recorded CPU does not trap")
        return cpu.finish_natively()
    return _report_trap(cpu, word, encoding)


def _raz_wi(cpu: Hardware, word: int) -> int | None:
    if word >> 21 & 1:
        cpu.set_x(word & 31, 0)
    return cpu.finish_natively()


def _report_trap(cpu: Hardware, word: int, encoding: Encoding) -> int:
    op0, op1, crn, crm, op2 = encoding
    iss = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (word & 31) << 5 | crm << 1
    cpu.hsr = _SYS64 | iss | word >> 21 & 1
    return esr.EC_SYS64


def read_cache_register(cpu: Hardware, word: int) -> int | None:
    """CLIDR_EL1 or CCSIDR_EL1 at EL1."""
    encoding = encoding_of(word)
    if cpu.hcr & HCR_TID2:
        return _report_trap(cpu, word, encoding)
    if encoding == sysregs.CLIDR_EL1:
        value = cpu.model.clidr
    else:
        selected = cpu.read_sys(sysregs.CSSELR_EL1)
        value = cpu.model.ccsidr[selected] if selected < len(cpu.model.ccsidr) else 0
    cpu.set_x(word & 31, value)
    return cpu.finish_natively()


def reads_isr(cpu: Hardware) -> bool:
    """Reads ISR_EL1, if that is what the instruction at pc does, with the virtual SError that
    Unicorn knows nothing of."""
    word = cpu.word_at_pc()
    if word & ~31 != _MRS_ISR_EL1 or not cpu.current_el or cpu.step_due:
        return False
    cpu.set_x(word & 31, cpu.read_sys(sysregs.ISR_EL1) | _ISR_A)
    return True


def system_trap(cpu: Hardware) -> int | None:
    """EC 0x18 to EL2, of which some is set up here and not by KVM."""
    iss = cpu.hsr & 0x1FFFFFF
    if iss & ~(31 << 5 | 1) == _DC_ZVA_ISS:
        return _zero_block(cpu, iss >> 5 & 31)
    if iss & 1 and (value := cpu.id_registers.get(iss_encoding(iss))) is not None:
        cpu.set_x(iss >> 5 & 31, value)
        return cpu.finish_natively()
    return esr.EC_SYS64


def _zero_block(cpu: Hardware, rt: int) -> int | None:
    va = cpu.x_or_zero(rt)
    start = va & ~(_BLOCK - 1)
    ipa = cpu.translate_write(start)
    if ipa is None or (not cpu.mmu_on and ipa >> cpu.model.pa_bits):
        cpu.untrap_dc_zva = cpu.unprepared = True
        return None
    slot = cpu.stage2.slot_at(ipa)
    if slot is None or not slot.writes(ipa):
        return zero_block_abort(cpu, va, ipa)
    far = cpu.watchpoints.hit_at(va, 1, is_write=True)
    if far is None:  # the recorded CPU looks at the byte that is named, then at the block
        far = cpu.watchpoints.hit_at(start, _BLOCK, is_write=True)
    if far is not None:
        return cpu.watchpoints.report_hit(far, is_write=True)
    cpu.stage2.write(ipa, bytes(_BLOCK))
    return cpu.finish_natively()


def invalid(cpu: Hardware) -> None:
    """Unicorn cannot decode the word at all."""
    check_half_precision(cpu, cpu.word_at_pc())
    cpu.take_to_el1(esr.IL)


def iss_encoding(iss: int) -> Encoding:
    """(op0, op1, CRn, CRm, op2) of an ISS for EC 0x18."""
    return iss >> 20 & 3, iss >> 14 & 7, iss >> 10 & 15, iss >> 1 & 15, iss >> 17 & 7


BELOW_KVM: Final = {
    esr.EC_SYS64: system_trap,
    esr.EC_SOFTSTP_LOW: software_step,
    esr.EC_BREAKPT_LOW: breakpoint_hit,
}
"""Exceptions to EL2 that the hardware settles or changes before KVM sees them."""
ABOVE_UNICORN: Final = {
    esr.EC_UNKNOWN: undefined,
    esr.EC_SYS64: trap_to_el1,
    esr.EC_BREAKPT_LOW: own_breakpoint,
    esr.EC_BREAKPT_LOW + 1: own_breakpoint,
    esr.EC_SOFTSTP_LOW: own_step,
    esr.EC_SOFTSTP_LOW + 1: own_step,
}
"""Exceptions to EL1 that Unicorn takes where the hardware has the register, or traps it, or aborts
first."""

"""Instructions that the hardware has and Unicorn lacks or gets wrong.

Unicorn raises UNDEFINED for system registers it does not know: those of the virtual GIC are done
here, those that trap to EL2 are reported so. DC ZVA is trapped before Unicorn runs it, since it
runs on past a fault.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.machine.emulated import esr
from vcpu_scenario.machine.emulated.aborts import block_abort, fetch_abort_at
from vcpu_scenario.machine.emulated.hardware import Hardware
from vcpu_scenario.machine.emulated.regfile import Encoding
from vcpu_scenario.machine.emulated.vgic import UNDEF

_MSR_OR_MRS: Final = 0b1101010100
_DC_ZVA_ISS: Final = 1 << 20 | 3 << 14 | 1 << 17 | 7 << 10 | 4 << 1
_BLOCK: Final = 64
_TRAPPED_DEBUG: Final = {(2, 3, 0, 1, 0)}
"""Debug registers that the recorded CPU has, and traps for KVM, and Unicorn lacks:
MDCCSR_EL0."""
_ISR_EL1: Final = (3, 0, 12, 1, 0)
_MRS_ISR_EL1: Final = 0xD538_C100
_ISR_A: Final = 1 << 8
_SYS64: Final = esr.EC_SYS64 << esr.EC_SHIFT | esr.IL
_ONE_WAY: Final[dict[bool, frozenset[Encoding]]] = {
    True: frozenset({(2, 0, 1, 0, 4)}),  # OSLAR_EL1
    False: frozenset(
        {
            (2, 0, 1, 0, 0),  # MDRAR_EL1
            (2, 0, 1, 1, 4),  # OSLSR_EL1
            (2, 0, 7, 14, 6),  # DBGAUTHSTATUS_EL1
            (2, 3, 0, 1, 0),  # MDCCSR_EL0
        }
    ),
}
"""Debug registers that cannot be read (True) or written (False): undefined, which comes before
any trap."""


class NotHandled(Exception):
    """The instruction is UNDEFINED on the hardware too."""


def undefined(cpu: Hardware) -> int | None:
    """An instruction that Unicorn finds UNDEFINED. Raises :class:`NotHandled` if it is."""
    word = cpu.word_at_pc()
    if word >> 22 != _MSR_OR_MRS or not word >> 20 & 1 or cpu.current_el == 0:
        raise NotHandled
    encoding = system_encoding(word)
    is_read = bool(word >> 21 & 1)
    if encoding in _ONE_WAY[is_read]:
        raise NotHandled
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
    cpu.sync_interrupt_lines()
    return cpu.finish_natively()


def _report_trap(cpu: Hardware, word: int, encoding: Encoding) -> int:
    op0, op1, crn, crm, op2 = encoding
    iss = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (word & 31) << 5 | crm << 1
    cpu.hsr = _SYS64 | iss | word >> 21 & 1
    return esr.EC_SYS64


def reads_isr(cpu: Hardware) -> bool:
    """Reads ISR_EL1, if that is what the instruction at pc does, with the virtual SError that
    Unicorn knows nothing of."""
    word = cpu.word_at_pc()
    if word & ~31 != _MRS_ISR_EL1 or not cpu.current_el or cpu.step_due:
        return False
    cpu.set_x(word & 31, cpu.read_sys(_ISR_EL1) | _ISR_A)
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
    ipa = cpu.translate(start)
    if ipa is None:
        cpu.untrap_dc_zva = True
        return None
    slot = cpu.stage2.slot_at(ipa)
    if slot is None or slot.slot.readonly or not slot.maps(ipa):
        return block_abort(cpu, va, ipa)
    far = cpu.watchpoints.hit_at(start, _BLOCK, is_write=True)
    if far is not None:
        return cpu.watchpoints.report_hit(far, is_write=True)
    cpu.stage2.write(ipa, bytes(_BLOCK))
    return cpu.finish_natively()


def software_step(cpu: Hardware) -> int | None:
    """A pending step waits for the fetch of its instruction, which may abort first."""
    if cpu.hsr != esr.STEP_PENDING:
        return esr.EC_SOFTSTP_LOW
    ipa = cpu.translate(cpu.pc)
    if ipa is None:
        return esr.EC_SOFTSTP_LOW
    slot = cpu.stage2.slot_at(ipa)
    if slot is not None and slot.maps(ipa):
        return esr.EC_SOFTSTP_LOW
    return fetch_abort_at(cpu, ipa)


def breakpoint_hit(cpu: Hardware) -> int | None:
    """A pending step comes before a breakpoint on the same instruction."""
    if cpu.step_due:
        return cpu.step_exception(esr.STEP_PENDING)
    return esr.EC_BREAKPT_LOW


def invalid(cpu: Hardware) -> None:
    """Unicorn cannot decode the word at all."""
    cpu.take_to_el1(esr.IL)


def iss_encoding(iss: int) -> Encoding:
    """(op0, op1, CRn, CRm, op2) of an ISS for EC 0x18."""
    return iss >> 20 & 3, iss >> 14 & 7, iss >> 10 & 15, iss >> 1 & 15, iss >> 17 & 7


def system_encoding(word: int) -> Encoding:
    """(op0, op1, CRn, CRm, op2) of an MSR or MRS."""
    return word >> 19 & 3, word >> 16 & 7, word >> 12 & 15, word >> 8 & 15, word >> 5 & 7


BELOW_KVM: Final = {
    esr.EC_SYS64: system_trap,
    esr.EC_SOFTSTP_LOW: software_step,
    esr.EC_BREAKPT_LOW: breakpoint_hit,
}
"""Exceptions to EL2 that the hardware settles or changes before KVM sees them."""

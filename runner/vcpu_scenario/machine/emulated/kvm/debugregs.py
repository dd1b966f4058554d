"""The guest's debug registers: what KVM does where an access of one traps, or would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu.native import iss_encoding
from vcpu_scenario.machine.emulated.kvm.guestdebug import OSLK, guest_registers_in_use, program
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import NotModelled

Access = Callable[[Vcpu, Encoding, int | None], int | None]
"""Reads where the last argument is None, else writes it. A read of None is UNDEFINED."""


def _mdscr(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    if value is not None:
        vcpu.guest_mdscr = value
        vcpu.debug_changed = vcpu.debug_written = True
    return vcpu.guest_mdscr


def _bank(
    of: Callable[[Vcpu], list[int]], held: Callable[[int], int] = lambda value: value
) -> Access:
    """Registers of one kind; ``held`` is what the CPU makes of a value."""

    def access(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
        registers = of(vcpu)
        if value is not None:
            registers[encoding[3]] = held(value) if guest_registers_in_use(vcpu) else value
            vcpu.debug_changed = vcpu.debug_written = True
        return registers[encoding[3]]

    return access


def _held_bcr(value: int) -> int:
    """BAS counts in halfwords: its odd bits are copies of the even ones."""
    even = value & 0b0101 << 5
    return value & ~(0b1111 << 5) | even | even << 1


def _held_wvr(value: int) -> int:
    """The address of a word."""
    return value & ~3


BANKS: Final[dict[int, Access]] = {
    4: _bank(lambda vcpu: vcpu.guest_bvr),
    5: _bank(lambda vcpu: vcpu.guest_bcr, _held_bcr),
    6: _bank(lambda vcpu: vcpu.guest_wvr, _held_wvr),
    7: _bank(lambda vcpu: vcpu.guest_wcr),
}


def _raz_wi(_vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    return 0


def _oslar(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    if value is not None and vcpu.behaviour.os_lock_emulated:
        vcpu.oslsr = vcpu.oslsr & ~OSLK | (value & 1) * OSLK
        vcpu.debug_changed = True
    return None


def _mdccint(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    if value is not None:
        vcpu.mdccint = value
    return vcpu.mdccint


_UNTRAPPED: Final[dict[Encoding, Access]] = {
    sysregs.MDSCR_EL1: _mdscr,
    sysregs.MDCCSR_EL0: _raz_wi,
}
HANDLERS: Final[dict[Encoding, Access]] = {
    sysregs.MDSCR_EL1: _mdscr,
    sysregs.MDCCINT_EL1: _mdccint,
    sysregs.MDCCSR_EL0: _raz_wi,
    sysregs.DBGDTR_EL0: _raz_wi,
    sysregs.DBGDTRRX_EL0: _raz_wi,  # DBGDTRTX_EL0, DBGDTRRX_EL0
    sysregs.OSDTRRX_EL1: _raz_wi,
    sysregs.OSDTRTX_EL1: _raz_wi,
    sysregs.OSECCR_EL1: _raz_wi,
    sysregs.MDRAR_EL1: _raz_wi,
    sysregs.OSLAR_EL1: _oslar,
    sysregs.OSLSR_EL1: lambda vcpu, _encoding, _value: vcpu.oslsr,
    sysregs.OSDLR_EL1: _raz_wi,
    sysregs.DBGPRCR_EL1: _raz_wi,
    sysregs.DBGCLAIMSET_EL1: _raz_wi,
    sysregs.DBGCLAIMCLR_EL1: _raz_wi,
    sysregs.DBGAUTHSTATUS_EL1: _raz_wi,
}


def access_untrapped(vcpu: Vcpu) -> int | None:
    """What looks like a trap of a debug register and is none (``debug_untrapped``): the guest's own
    access, behind which it continues. An exit if that is its step's or no such access."""
    cpu = vcpu.cpu
    iss = cpu.hsr & 0x1FFFFFF
    encoding, rt = iss_encoding(iss), iss >> 5 & 31
    if encoding == sysregs.MDCCINT_EL1:
        raise NotModelled("MDCCINT_EL1 where the guest owns its debug registers")
    op0, op1, crn, _, op2 = encoding
    is_bank = (op0, op1, crn) == (2, 0, 0) and op2 in BANKS
    access = BANKS[op2] if is_bank else _UNTRAPPED.get(encoding)
    if access is None:
        return esr.EC_SYS64
    if iss & 1:
        cpu.set_x(rt, access(vcpu, encoding, None) or 0)
        return cpu.finish_natively()
    access(vcpu, encoding, cpu.x_or_zero(rt))
    outcome = cpu.finish_natively()
    program(vcpu)
    return outcome

"""The registers of ``struct kvm_regs`` as a VMM reads and writes them: core, SIMD and FP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import Array, c_uint64
from errno import EINVAL
from functools import cache
from operator import itemgetter
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS
from vcpu_scenario.machine.emulated.cpu import features, uc
from vcpu_scenario.machine.emulated.cpu.regfile import EL0T, EL1H, EL1T, PAN
from vcpu_scenario.machine.emulated.kvm.access import Access, kept, system
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu
from vcpu_scenario.machine.errors import NotModelled

_AARCH32_USER = 1 << 4
_PSTATE: Final = 0xF << 28 | 3 << 20 | 0xF << 6 | 0x1F
"""NZCV, SS, IL, DAIF and the mode: what an exception return of an Armv8.0 CPU takes along."""
_MODES = (EL0T, EL1T, EL1H)
"""EL0t, EL1t and EL1h, the modes of AArch64 that a vCPU can be in."""


def _general(n: int) -> Access:
    return lambda vcpu: vcpu.cpu.x(n), lambda vcpu, value: vcpu.cpu.set_x(n, value)


def _sp(el: int) -> Access:
    return lambda vcpu: vcpu.cpu.sp_el(el), lambda vcpu, value: vcpu.cpu.set_sp_el(el, value)


def _set_pc(vcpu: Vcpu, value: int) -> None:
    vcpu.cpu.pc = value


def _set_pstate(vcpu: Vcpu, value: int) -> None:
    mode = value & 0x1F
    if mode == _AARCH32_USER:
        raise NotModelled(f"AArch32 state (pstate = {value:#x})")
    if mode not in _MODES:
        raise Refused(EINVAL)
    features.check_pstate(vcpu.model, value)
    bits = _PSTATE | PAN if vcpu.model.armv8_2 else _PSTATE
    vcpu.cpu.pstate = value & bits


def _vector(n: int) -> Access:
    number = uc.UC_ARM64_REG_Q0 + n
    return (
        lambda vcpu: vcpu.cpu.engine.read_wide(number),
        lambda vcpu, value: vcpu.cpu.engine.write_wide(number, value),
    )


def _fp_status(number: int) -> Access:
    return (
        lambda vcpu: vcpu.cpu.engine.read(number) & 0xFFFF_FFFF,
        lambda vcpu, value: vcpu.cpu.engine.write(number, value),
    )


CORE: Final[dict[int, Access]] = {
    **{CORE_REGISTERS[f"x{n}"]: _general(n) for n in range(31)},
    CORE_REGISTERS["sp_el0"]: _sp(0),
    CORE_REGISTERS["sp_el1"]: _sp(1),
    CORE_REGISTERS["pc"]: (lambda vcpu: vcpu.cpu.pc, _set_pc),
    CORE_REGISTERS["pstate"]: (lambda vcpu: vcpu.cpu.pstate, _set_pstate),
    CORE_REGISTERS["elr_el1"]: system(sysregs.ELR_EL1),
    CORE_REGISTERS["spsr_el1"]: system(sysregs.SPSR_EL1),
    **{
        CORE_REGISTERS[f"spsr_{mode}"]: kept((0, 0, 0, 0, n), 0)
        for n, mode in enumerate(("abt", "und", "irq", "fiq"))
    },
}
_IN_FILE: Final = {CORE_REGISTERS[f"x{n}"]: n for n in range(31)} | {CORE_REGISTERS["pc"]: 32}
"""Core registers that are members of the CPU's ``regs``, by their place there."""


@cache
def at_once(reg_ids: Sequence[int]) -> Callable[[Array[c_uint64]], Sequence[int]] | None:
    """Takes these, two or more, from the CPU's ``regs``; None where one of them is elsewhere.

    Most VMMs read the same few after every exit.
    """
    places = [_IN_FILE.get(reg_id) for reg_id in reg_ids]
    return itemgetter(*places) if len(places) > 1 and None not in places else None


FP: Final[dict[int, Access]] = {
    **{FP_REGISTERS[f"v{n}"]: _vector(n) for n in range(32)},
    FP_REGISTERS["fpsr"]: _fp_status(uc.UC_ARM64_REG_FPSR),
    FP_REGISTERS["fpcr"]: _fp_status(uc.UC_ARM64_REG_FPCR),
}

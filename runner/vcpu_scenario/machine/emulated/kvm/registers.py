"""``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG``: which registers a vCPU has for its VMM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import Array, c_uint64
from errno import EINVAL
from functools import cache, lru_cache
from operator import itemgetter
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS, sys_reg
from vcpu_scenario.machine.emulated.cpu import features, uc
from vcpu_scenario.machine.emulated.cpu.regfile import EL0T, EL1H, EL1T, PAN
from vcpu_scenario.machine.emulated.kvm import cacheregs, corewords, pmuregs
from vcpu_scenario.machine.emulated.kvm.access import Access
from vcpu_scenario.machine.emulated.kvm.firmware import firmware_registers
from vcpu_scenario.machine.emulated.kvm.guestdebug import OSLK
from vcpu_scenario.machine.emulated.kvm.idregs import (
    IMPLEMENTATION_IDS,
    id_register,
    implementation_id,
    set_id_register,
    set_implementation_id,
)
from vcpu_scenario.machine.emulated.kvm.reglist import IDENTITIES, absent
from vcpu_scenario.machine.emulated.kvm.sysregs import RESET_VALUES
from vcpu_scenario.machine.emulated.kvm.timerregs import timer_registers
from vcpu_scenario.machine.emulated.kvm.vcpu import UNKNOWN_RESET, Refused, Vcpu
from vcpu_scenario.machine.errors import NotModelled

_AARCH32_USER = 1 << 4
_PSTATE: Final = 0xF << 28 | 3 << 20 | 0xF << 6 | 0x1F
"""NZCV, SS, IL, DAIF and the mode: what an exception return of an Armv8.0 CPU takes along."""
_MODES = (EL0T, EL1T, EL1H)
"""EL0t, EL1t and EL1h, the modes of AArch64 that a vCPU can be in."""


@lru_cache(maxsize=128)
def registers_of(behaviour: Behaviour, *, pmu: bool = False) -> Mapping[int, Access]:
    """The registers of a vCPU by their ids, of one that has a PMU or has none."""
    table = dict(_registers_of(behaviour))
    if not behaviour.core_ids_checked:
        table |= corewords.every(table)
    if pmu:
        table |= sorted(pmuregs.registers(behaviour))
    for encoding in absent(behaviour):
        table.pop(sys_reg(*encoding), None)
    return table | {reg: _unloaded(reg, table[reg]) for reg in PARTLY_KEPT & table.keys()}


def _registers_of(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    yield from _CORE.items()
    yield from _FP.items()
    yield from firmware_registers(behaviour)
    yield from timer_registers(behaviour)
    yield from _SYSTEM.items()
    yield from ((sys_reg(*encoding), _kept(encoding, value)) for encoding, value in _KEPT.items())
    if not behaviour.pmu_undefined:
        yield sys_reg(*sysregs.PMCR_EL0), _kept_of(sysregs.PMCR_EL0, lambda cpu: cpu.pmcr | _PMCR)
        yield from ((sys_reg(*encoding), _kept(encoding, value)) for encoding, value in _pmu())
    if behaviour.permission_registers_listed:
        yield from (
            (sys_reg(*encoding), _kept(encoding, value)) for encoding, value in _PERMISSION.items()
        )
    if behaviour.os_lock_emulated:
        yield sys_reg(*sysregs.OSLSR_EL1), (lambda vcpu: vcpu.oslsr, _set_oslsr)
    yield from cacheregs.registers(behaviour)


def _unloaded(reg: int, access: Access) -> Access:
    """A register of which the CPU does not keep every bit."""
    of_cpu, to_cpu = access

    def read(vcpu: Vcpu) -> int:
        written = vcpu.unloaded.get(reg)
        return of_cpu(vcpu) if written is None else written

    def write(vcpu: Vcpu, value: int) -> None:
        to_cpu(vcpu, value)
        vcpu.unloaded[reg] = value

    return read, write


# -- the core registers ----------------------------------------------------------------------------


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
    kept = _PSTATE | PAN if vcpu.model.armv8_2 else _PSTATE
    vcpu.cpu.pstate = value & kept


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


# -- system registers ------------------------------------------------------------------------------


def _system(encoding: Encoding) -> Access:
    return (
        lambda vcpu: vcpu.cpu.read_sys(encoding),
        lambda vcpu, value: vcpu.cpu.write_sys(encoding, value),
    )


def _kept(encoding: Encoding, reset: int) -> Access:
    """A register that KVM keeps, and whose value has no effect on a guest of this machine."""
    return _kept_of(encoding, lambda _cpu: reset)


def _kept_of(encoding: Encoding, reset: Callable[[CpuModel], int]) -> Access:
    def write(vcpu: Vcpu, value: int) -> None:
        vcpu.kept[encoding] = value

    return lambda vcpu: vcpu.kept.get(encoding, reset(vcpu.model)), write


def _implementation(encoding: Encoding) -> Access:
    return (
        lambda vcpu: implementation_id(vcpu, encoding),
        lambda vcpu, value: set_implementation_id(vcpu, encoding, value),
    )


def _identity(encoding: Encoding) -> Access:
    return (
        lambda vcpu: id_register(vcpu, encoding, None) or 0,
        lambda vcpu, value: set_id_register(vcpu, encoding, value),
    )


def _mpidr(vcpu: Vcpu) -> int:
    return vcpu.mpidr


def _set_mpidr(vcpu: Vcpu, value: int) -> None:
    vcpu.mpidr = value
    vcpu.cpu.engine.write_sys(sysregs.VMPIDR_EL2, value)


def _set_mdscr(vcpu: Vcpu, value: int) -> None:
    vcpu.guest_mdscr = value
    vcpu.debug_changed = True


def _set_mdccint(vcpu: Vcpu, value: int) -> None:
    vcpu.mdccint = value


def _set_oslsr(vcpu: Vcpu, value: int) -> None:
    if (value ^ vcpu.oslsr) & ~OSLK:
        raise Refused(EINVAL)
    vcpu.oslsr = value
    vcpu.debug_changed = True


def _bank(of: Callable[[Vcpu], list[int]], n: int) -> Access:
    def write(vcpu: Vcpu, value: int) -> None:
        of(vcpu)[n] = value
        vcpu.debug_changed = True

    return lambda vcpu: of(vcpu)[n], write


def _pmu() -> Iterator[tuple[Encoding, int]]:
    """The PMU of a vCPU without one, as long as KVM showed it: nobody counts."""
    yield from (((3, 3, 9, 12, op2), UNKNOWN_RESET) for op2 in range(1, 6))
    yield sysregs.PMCCNTR_EL0, UNKNOWN_RESET
    yield sysregs.PMUSERENR_EL0, 0
    yield sysregs.PMOVSSET_EL0, UNKNOWN_RESET
    yield from (((3, 0, 9, 14, op2), UNKNOWN_RESET) for op2 in (1, 2))
    for first in (8, 12):  # PMEVCNTR0_EL0 to 30, PMEVTYPER0_EL0 to 30
        for n in range(31):
            yield (3, 3, 14, first + n // 8, n % 8), UNKNOWN_RESET
    yield sysregs.PMCCFILTR_EL0, 0


_PMCR: Final = 0xAC
_KEPT: Final[Mapping[Encoding, int]] = {
    sysregs.DBGVCR32_EL2: 0,
    sysregs.ACTLR_EL1: 0,
    sysregs.DISR_EL1: 0,
    sysregs.DACR32_EL2: UNKNOWN_RESET,
    sysregs.IFSR32_EL2: UNKNOWN_RESET,
    sysregs.FPEXC32_EL2: 0x700,
}
_PERMISSION: Final[Mapping[Encoding, int]] = {
    sysregs.TCR2_EL1: 0,
    sysregs.PIRE0_EL1: UNKNOWN_RESET,
    sysregs.PIR_EL1: UNKNOWN_RESET,
}
_BANKS: Final[tuple[tuple[Sequence[Encoding], Callable[[Vcpu], list[int]]], ...]] = (
    (sysregs.DBGBVR_EL1, lambda vcpu: vcpu.guest_bvr),
    (sysregs.DBGBCR_EL1, lambda vcpu: vcpu.guest_bcr),
    (sysregs.DBGWVR_EL1, lambda vcpu: vcpu.guest_wvr),
    (sysregs.DBGWCR_EL1, lambda vcpu: vcpu.guest_wcr),
)
_ELSEWHERE: Final = {sysregs.ELR_EL1, sysregs.SPSR_EL1, sysregs.CSSELR_EL1}
"""Of the registers that have a value at reset, those that have another id or a way of their own."""

_CORE: Final[dict[int, Access]] = {
    **{CORE_REGISTERS[f"x{n}"]: _general(n) for n in range(31)},
    CORE_REGISTERS["sp_el0"]: _sp(0),
    CORE_REGISTERS["sp_el1"]: _sp(1),
    CORE_REGISTERS["pc"]: (lambda vcpu: vcpu.cpu.pc, _set_pc),
    CORE_REGISTERS["pstate"]: (lambda vcpu: vcpu.cpu.pstate, _set_pstate),
    CORE_REGISTERS["elr_el1"]: _system(sysregs.ELR_EL1),
    CORE_REGISTERS["spsr_el1"]: _system(sysregs.SPSR_EL1),
    **{
        CORE_REGISTERS[f"spsr_{mode}"]: _kept((0, 0, 0, 0, n), 0)
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


_FP: Final[dict[int, Access]] = {
    **{FP_REGISTERS[f"v{n}"]: _vector(n) for n in range(32)},
    FP_REGISTERS["fpsr"]: _fp_status(uc.UC_ARM64_REG_FPSR),
    FP_REGISTERS["fpcr"]: _fp_status(uc.UC_ARM64_REG_FPCR),
}
_SYSTEM: Final[dict[int, Access]] = {
    **{
        sys_reg(*encoding): _system(encoding)
        for encoding in RESET_VALUES
        if encoding not in _ELSEWHERE
    },
    **{sys_reg(*encoding): _identity(encoding) for encoding in IDENTITIES},
    sys_reg(*sysregs.MPIDR_EL1): (_mpidr, _set_mpidr),
    **{sys_reg(*encoding): _implementation(encoding) for encoding in IMPLEMENTATION_IDS},
    sys_reg(*sysregs.MDCCINT_EL1): (lambda vcpu: vcpu.mdccint, _set_mdccint),
    sys_reg(*sysregs.MDSCR_EL1): (lambda vcpu: vcpu.guest_mdscr, _set_mdscr),
    **{sys_reg(*each): _bank(of, n) for bank, of in _BANKS for n, each in enumerate(bank)},
}

PARTLY_KEPT: Final = frozenset(
    {
        CORE_REGISTERS["pstate"],
        FP_REGISTERS["fpsr"],
        FP_REGISTERS["fpcr"],
        sys_reg(*sysregs.AFSR0_EL1),
        sys_reg(*sysregs.AFSR1_EL1),
        sys_reg(*sysregs.AMAIR_EL1),
        sys_reg(*sysregs.VBAR_EL1),
        sys_reg(*sysregs.CSSELR_EL1),
    }
)
"""Of these the CPU keeps less than KVM does."""


def reset_unloaded(vcpu: Vcpu) -> None:
    """What KVM resets these registers to, before the vCPU first runs."""
    vcpu.unloaded.update(_UNKNOWN_AT_RESET)


_UNKNOWN_AT_RESET: Final = dict.fromkeys(
    (sys_reg(*sysregs.CSSELR_EL1), sys_reg(*sysregs.AFSR0_EL1), sys_reg(*sysregs.AFSR1_EL1)),
    UNKNOWN_RESET,
)

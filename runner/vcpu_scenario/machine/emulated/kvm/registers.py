"""``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG``: which registers a vCPU has for its VMM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from errno import EINVAL
from functools import lru_cache
from typing import Final

from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS, sys_reg
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.regfile import EL0T, EL1H, EL1T, Encoding
from vcpu_scenario.machine.emulated.kvm import cacheregs
from vcpu_scenario.machine.emulated.kvm.access import Access, fixed
from vcpu_scenario.machine.emulated.kvm.firmware import firmware_registers
from vcpu_scenario.machine.emulated.kvm.idregs import id_register, set_id_register
from vcpu_scenario.machine.emulated.kvm.sysregs import OSLK, RESET_VALUES
from vcpu_scenario.machine.emulated.kvm.timerregs import timer_registers
from vcpu_scenario.machine.emulated.kvm.vcpu import UNKNOWN_RESET, Refused, Vcpu
from vcpu_scenario.machine.interface import NotModelled

_AARCH32_USER = 1 << 4
_MODES = (EL0T, EL1T, EL1H)
"""EL0t, EL1t and EL1h, the modes of AArch64 that a vCPU can be in."""

_ELR_EL1 = (3, 0, 4, 0, 1)
_SPSR_EL1 = (3, 0, 4, 0, 0)
_VMPIDR_EL2 = (3, 4, 0, 0, 5)


@lru_cache(maxsize=128)
def registers_of(behaviour: Behaviour) -> Mapping[int, Access]:
    """The registers of a vCPU by their ids."""
    table = dict(_registers_of(behaviour))
    return table | {reg: _unloaded(reg, table[reg]) for reg in PARTLY_KEPT & table.keys()}


def _registers_of(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    yield from _CORE.items()
    yield from _FP.items()
    yield from firmware_registers(behaviour)
    yield from timer_registers(behaviour)
    yield from _SYSTEM.items()
    yield from ((sys_reg(*encoding), _kept(encoding, value)) for encoding, value in _KEPT.items())
    if not behaviour.pmu_undefined:
        yield from ((sys_reg(*encoding), _kept(encoding, value)) for encoding, value in _pmu())
    if behaviour.permission_registers_listed:
        yield from (
            (sys_reg(*encoding), _kept(encoding, value)) for encoding, value in _PERMISSION.items()
        )
    if behaviour.os_lock_emulated:
        yield sys_reg(*_OSLSR_EL1), (lambda vcpu: vcpu.oslsr, _set_oslsr)
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
    vcpu.cpu.pstate = value & 0xFFFF_FFFF


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

    def write(vcpu: Vcpu, value: int) -> None:
        vcpu.kept[encoding] = value

    return lambda vcpu: vcpu.kept.get(encoding, reset), write


def _identity(encoding: Encoding) -> Access:
    return (
        lambda vcpu: id_register(vcpu, encoding, None) or 0,
        lambda vcpu, value: set_id_register(vcpu, encoding, value),
    )


def _mpidr(vcpu: Vcpu) -> int:
    return vcpu.mpidr


def _set_mpidr(vcpu: Vcpu, value: int) -> None:
    vcpu.mpidr = value
    vcpu.cpu.engine.write_sys(_VMPIDR_EL2, value)


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
    yield (3, 3, 9, 12, 0), _PMCR
    yield from (((3, 3, 9, 12, op2), UNKNOWN_RESET) for op2 in range(1, 6))
    yield (3, 3, 9, 13, 0), UNKNOWN_RESET
    yield (3, 3, 9, 14, 0), 0
    yield (3, 3, 9, 14, 3), UNKNOWN_RESET
    yield from (((3, 0, 9, 14, op2), UNKNOWN_RESET) for op2 in (1, 2))
    for first in (8, 12):  # PMEVCNTR0_EL0 to 30, PMEVTYPER0_EL0 to 30
        for n in range(31):
            yield (3, 3, 14, first + n // 8, n % 8), UNKNOWN_RESET
    yield (3, 3, 14, 15, 7), 0  # PMCCFILTR_EL0


_PMCR: Final = 0x4101_30AC
_OSLSR_EL1: Final = (2, 0, 1, 1, 4)
_KEPT: Final[Mapping[Encoding, int]] = {
    (2, 4, 0, 7, 0): 0,  # DBGVCR32_EL2
    (3, 0, 1, 0, 1): 0,  # ACTLR_EL1
    (3, 0, 12, 1, 1): 0,  # DISR_EL1
    (3, 4, 3, 0, 0): UNKNOWN_RESET,  # DACR32_EL2
    (3, 4, 5, 0, 1): UNKNOWN_RESET,  # IFSR32_EL2
    (3, 4, 5, 3, 0): 0x700,  # FPEXC32_EL2
}
_PERMISSION: Final[Mapping[Encoding, int]] = {
    (3, 0, 2, 0, 3): 0,  # TCR2_EL1
    (3, 0, 10, 2, 2): UNKNOWN_RESET,  # PIRE0_EL1
    (3, 0, 10, 2, 3): UNKNOWN_RESET,  # PIR_EL1
}
_BANKS: Final[tuple[tuple[int, Callable[[Vcpu], list[int]]], ...]] = (
    (4, lambda vcpu: vcpu.guest_bvr),
    (5, lambda vcpu: vcpu.guest_bcr),
    (6, lambda vcpu: vcpu.guest_wvr),
    (7, lambda vcpu: vcpu.guest_wcr),
)
_IDENTITIES: Final = tuple((3, 0, 0, crm, op2) for crm in range(1, 8) for op2 in range(8))
_CSSELR_EL1: Final = (3, 2, 0, 0, 0)
_ELSEWHERE: Final = {_ELR_EL1, _SPSR_EL1, _CSSELR_EL1}
"""Of the registers that have a value at reset, those that have another id or a way of their own."""

_CORE: Final[dict[int, Access]] = {
    **{CORE_REGISTERS[f"x{n}"]: _general(n) for n in range(31)},
    CORE_REGISTERS["sp_el0"]: _sp(0),
    CORE_REGISTERS["sp_el1"]: _sp(1),
    CORE_REGISTERS["pc"]: (lambda vcpu: vcpu.cpu.pc, _set_pc),
    CORE_REGISTERS["pstate"]: (lambda vcpu: vcpu.cpu.pstate, _set_pstate),
    CORE_REGISTERS["elr_el1"]: _system(_ELR_EL1),
    CORE_REGISTERS["spsr_el1"]: _system(_SPSR_EL1),
    **{
        CORE_REGISTERS[f"spsr_{mode}"]: _kept((0, 0, 0, 0, n), 0)
        for n, mode in enumerate(("abt", "und", "irq", "fiq"))
    },
}
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
    **{sys_reg(*encoding): _identity(encoding) for encoding in _IDENTITIES},
    sys_reg(3, 0, 0, 0, 5): (_mpidr, _set_mpidr),
    sys_reg(3, 0, 0, 0, 0): fixed(lambda vcpu: vcpu.midr),
    sys_reg(3, 0, 0, 0, 6): fixed(lambda _vcpu: 0),
    sys_reg(3, 1, 0, 0, 7): fixed(lambda _vcpu: 0),
    sys_reg(2, 0, 0, 2, 0): (lambda vcpu: vcpu.mdccint, _set_mdccint),
    sys_reg(2, 0, 0, 2, 2): (lambda vcpu: vcpu.guest_mdscr, _set_mdscr),
    **{sys_reg(2, 0, 0, n, op2): _bank(of, n) for op2, of in _BANKS for n in range(16)},
}

PARTLY_KEPT: Final = frozenset(
    {
        CORE_REGISTERS["pstate"],
        FP_REGISTERS["fpsr"],
        FP_REGISTERS["fpcr"],
        sys_reg(3, 0, 5, 1, 0),  # AFSR0_EL1
        sys_reg(3, 0, 5, 1, 1),  # AFSR1_EL1
        sys_reg(3, 0, 10, 3, 0),  # AMAIR_EL1
        sys_reg(3, 0, 12, 0, 0),  # VBAR_EL1
        sys_reg(*_CSSELR_EL1),
    }
)
"""Of these the CPU keeps less than KVM does."""


def reset_unloaded(vcpu: Vcpu) -> None:
    """What KVM resets these registers to, before the vCPU first runs."""
    vcpu.unloaded.update(_UNKNOWN_AT_RESET)


_UNKNOWN_AT_RESET: Final = dict.fromkeys(
    (sys_reg(*_CSSELR_EL1), sys_reg(3, 0, 5, 1, 0), sys_reg(3, 0, 5, 1, 1)), UNKNOWN_RESET
)

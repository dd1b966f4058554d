"""``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG`` on the emulated vCPU."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, ENOENT
from typing import Final

from vcpu_scenario.kvm.registers import CORE_REGISTERS, KVM_REG_ARM_PSCI_VERSION, sys_reg
from vcpu_scenario.machine.emulated.hypercalls import psci_version
from vcpu_scenario.machine.emulated.idregs import HARDWARE_ID_REGISTERS, MPIDR
from vcpu_scenario.machine.emulated.regfile import EL0T, EL1H, EL1T
from vcpu_scenario.machine.emulated.sysregs import RESET_VALUES
from vcpu_scenario.machine.emulated.vcpu import Vcpu
from vcpu_scenario.machine.interface import KvmError, NotModelled

Read = Callable[[Vcpu], int]
Write = Callable[[Vcpu, int], None]

_AARCH32 = 1 << 4
_MODES = (EL0T, EL1T, EL1H)
"""EL0t, EL1t and EL1h, the modes of AArch64 that a vCPU can be in."""

_ELR_EL1 = (3, 0, 4, 0, 1)
_SPSR_EL1 = (3, 0, 4, 0, 0)


def read_register(vcpu: Vcpu, reg_id: int) -> int:
    entry = _REGISTERS.get(reg_id)
    if entry is None:
        raise KvmError(ENOENT, f"KVM_GET_ONE_REG {reg_id:#x}")
    return entry[0](vcpu)


def write_register(vcpu: Vcpu, reg_id: int, value: int) -> None:
    entry = _REGISTERS.get(reg_id)
    if entry is None:
        raise KvmError(ENOENT, f"KVM_SET_ONE_REG {reg_id:#x}")
    entry[1](vcpu, value)


def _general(n: int) -> tuple[Read, Write]:
    return lambda vcpu: vcpu.cpu.x(n), lambda vcpu, value: vcpu.cpu.set_x(n, value)


def _sp(el: int) -> tuple[Read, Write]:
    return lambda vcpu: vcpu.cpu.sp_el(el), lambda vcpu, value: vcpu.cpu.set_sp_el(el, value)


def _system(encoding: tuple[int, int, int, int, int]) -> tuple[Read, Write]:
    return (
        lambda vcpu: vcpu.cpu.read_sys(encoding),
        lambda vcpu, value: vcpu.cpu.write_sys(encoding, value),
    )


def _set_pc(vcpu: Vcpu, value: int) -> None:
    vcpu.cpu.pc = value


def _set_pstate(vcpu: Vcpu, value: int) -> None:
    mode = value & 0x1F
    if mode & _AARCH32:
        raise NotModelled(f"AArch32 state (pstate = {value:#x})")
    if mode not in _MODES:
        raise KvmError(EINVAL, f"KVM_SET_ONE_REG pstate {value:#x}")
    vcpu.cpu.pstate = value & 0xFFFF_FFFF


def _set_mdscr(vcpu: Vcpu, value: int) -> None:
    vcpu.guest_mdscr = value
    vcpu.debug_changed = True


def _read_only(_vcpu: Vcpu, _value: int) -> None:
    """Accepted and without effect, as for registers whose value userspace cannot change."""


def _id_register(encoding: tuple[int, int, int, int, int]) -> tuple[Read, Write]:
    return lambda _vcpu: HARDWARE_ID_REGISTERS[encoding], _read_only


def _bank(of: Callable[[Vcpu], list[int]], n: int) -> tuple[Read, Write]:
    def write(vcpu: Vcpu, value: int) -> None:
        of(vcpu)[n] = value
        vcpu.debug_changed = True

    return lambda vcpu: of(vcpu)[n], write


_BANKS: Final[tuple[tuple[int, Callable[[Vcpu], list[int]]], ...]] = (
    (4, lambda vcpu: vcpu.guest_bvr),
    (5, lambda vcpu: vcpu.guest_bcr),
    (6, lambda vcpu: vcpu.guest_wvr),
    (7, lambda vcpu: vcpu.guest_wcr),
)

_REGISTERS: Final[dict[int, tuple[Read, Write]]] = {
    **{CORE_REGISTERS[f"x{n}"]: _general(n) for n in range(31)},
    CORE_REGISTERS["sp_el0"]: _sp(0),
    CORE_REGISTERS["sp_el1"]: _sp(1),
    CORE_REGISTERS["pc"]: (lambda vcpu: vcpu.cpu.pc, _set_pc),
    CORE_REGISTERS["pstate"]: (lambda vcpu: vcpu.cpu.pstate, _set_pstate),
    CORE_REGISTERS["elr_el1"]: _system(_ELR_EL1),
    CORE_REGISTERS["spsr_el1"]: _system(_SPSR_EL1),
    KVM_REG_ARM_PSCI_VERSION: (psci_version, _read_only),
    **{
        sys_reg(*encoding): _system(encoding)
        for encoding in RESET_VALUES
        if encoding not in (_ELR_EL1, _SPSR_EL1)
    },
    **{sys_reg(*encoding): _id_register(encoding) for encoding in HARDWARE_ID_REGISTERS},
    sys_reg(3, 0, 0, 0, 5): (lambda _vcpu: MPIDR, _read_only),
    sys_reg(3, 0, 0, 0, 0): (lambda vcpu: vcpu.midr, _read_only),
    sys_reg(2, 0, 0, 2, 2): (lambda vcpu: vcpu.guest_mdscr, _set_mdscr),
    **{sys_reg(2, 0, 0, n, op2): _bank(of, n) for op2, of in _BANKS for n in range(16)},
}

"""``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG`` on the emulated vCPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from errno import EINVAL, ENOENT
from typing import Final

from vcpu_scenario.kvm.registers import CORE_REGISTERS, KVM_REG_ARM_PSCI_VERSION, name_of, sys_reg
from vcpu_scenario.machine.emulated.cpu.regfile import EL0T, EL1H, EL1T, Encoding
from vcpu_scenario.machine.emulated.cpu.timers import ISTATUS, Timer
from vcpu_scenario.machine.emulated.kvm.hypercalls import psci_version
from vcpu_scenario.machine.emulated.kvm.idregs import MPIDR, id_register
from vcpu_scenario.machine.emulated.kvm.sysregs import RESET_VALUES, SCTLR_EL1
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
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


def read_registers(vcpu: Vcpu, reg_ids: Sequence[int]) -> list[int]:
    """Each of them: a VMM reads some after every exit."""
    try:
        return [_REGISTERS[reg_id][0](vcpu) for reg_id in reg_ids]
    except KeyError as unknown:
        raise KvmError(ENOENT, f"KVM_GET_ONE_REG {unknown.args[0]:#x}") from None


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


def _set_sctlr(vcpu: Vcpu, value: int) -> None:
    if value & 1 << 1:
        raise NotModelled(f"SCTLR_EL1.A ({value:#x})")
    vcpu.cpu.write_sys(SCTLR_EL1, value)


def _set_mdscr(vcpu: Vcpu, value: int) -> None:
    vcpu.guest_mdscr = value
    vcpu.debug_changed = True


def _only(read: Read, name: str) -> tuple[Read, Write]:
    """A register that takes what it holds. What a kernel does with another value depends on its
    release and on the field."""

    def write(vcpu: Vcpu, value: int) -> None:
        if value != read(vcpu):
            raise NotModelled(f"KVM_SET_ONE_REG of {name} ({value:#x})")

    return read, write


def _id_register(encoding: Encoding) -> tuple[Read, Write]:
    def read(vcpu: Vcpu) -> int:
        return id_register(vcpu, encoding, None) or 0

    return _only(read, name_of(encoding))


def _set_midr(vcpu: Vcpu, value: int) -> None:
    if value != vcpu.midr:
        raise KvmError(EINVAL, f"KVM_SET_ONE_REG midr_el1 {value:#x}")


def _set_mdccint(vcpu: Vcpu, value: int) -> None:
    vcpu.mdccint = value


def _told(encoding: Encoding) -> tuple[Read, Write]:
    """A register that KVM keeps for a VMM, and that is not modelled."""
    name = name_of(encoding)

    def read(_vcpu: Vcpu) -> int:
        raise NotModelled(f"KVM_GET_ONE_REG of {name}")

    def write(_vcpu: Vcpu, value: int) -> None:
        raise NotModelled(f"KVM_SET_ONE_REG of {name} ({value:#x})")

    return read, write


def _control(of: Callable[[Vcpu], Timer]) -> tuple[Read, Write]:
    """CTL of a timer: KVM shows ISTATUS whether or not it is enabled."""
    return (
        lambda vcpu: of(vcpu).control | (ISTATUS if of(vcpu).met() else 0),
        lambda vcpu, value: of(vcpu).set_control(value),
    )


def _compare(of: Callable[[Vcpu], Timer]) -> tuple[Read, Write]:
    return lambda vcpu: of(vcpu).compare, lambda vcpu, value: of(vcpu).set_compare(value)


def _virtual(vcpu: Vcpu) -> Timer:
    return vcpu.cpu.virtual_timer


def _physical(vcpu: Vcpu) -> Timer:
    return vcpu.cpu.physical_timer


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

_ID_REGISTERS: Final = tuple((3, 0, 0, crm, op2) for crm in range(1, 8) for op2 in range(8))
_TOLD: Final[tuple[Encoding, ...]] = (
    (2, 0, 1, 1, 4),  # OSLSR_EL1
    (3, 0, 0, 0, 6),  # REVIDR_EL1
    (3, 0, 1, 0, 1),  # ACTLR_EL1
    (3, 0, 12, 1, 1),  # DISR_EL1
    (3, 1, 0, 0, 1),  # CLIDR_EL1
    (3, 1, 0, 0, 7),  # AIDR_EL1
    (3, 3, 0, 0, 1),  # CTR_EL0
    (3, 3, 14, 0, 1),  # the physical counter
    (3, 3, 14, 3, 2),  # the virtual counter: uapi has it in the place of CNTV_CVAL_EL0
    (3, 4, 3, 0, 0),  # DACR32_EL2
    (3, 4, 5, 0, 1),  # IFSR32_EL2
    (3, 4, 5, 3, 0),  # FPEXC32_EL2
)

_REGISTERS: Final[dict[int, tuple[Read, Write]]] = {
    **{CORE_REGISTERS[f"x{n}"]: _general(n) for n in range(31)},
    CORE_REGISTERS["sp_el0"]: _sp(0),
    CORE_REGISTERS["sp_el1"]: _sp(1),
    CORE_REGISTERS["pc"]: (lambda vcpu: vcpu.cpu.pc, _set_pc),
    CORE_REGISTERS["pstate"]: (lambda vcpu: vcpu.cpu.pstate, _set_pstate),
    CORE_REGISTERS["elr_el1"]: _system(_ELR_EL1),
    CORE_REGISTERS["spsr_el1"]: _system(_SPSR_EL1),
    KVM_REG_ARM_PSCI_VERSION: _only(psci_version, "KVM_REG_ARM_PSCI_VERSION"),
    **{
        sys_reg(*encoding): _system(encoding)
        for encoding in RESET_VALUES
        if encoding not in (_ELR_EL1, _SPSR_EL1)
    },
    sys_reg(*SCTLR_EL1): (lambda vcpu: vcpu.cpu.read_sys(SCTLR_EL1), _set_sctlr),
    **{sys_reg(*encoding): _told(encoding) for encoding in _TOLD},
    **{sys_reg(*encoding): _id_register(encoding) for encoding in _ID_REGISTERS},
    sys_reg(3, 0, 0, 0, 5): _only(lambda _vcpu: MPIDR, "mpidr_el1"),
    sys_reg(3, 0, 0, 0, 0): (lambda vcpu: vcpu.midr, _set_midr),
    sys_reg(2, 0, 0, 2, 0): (lambda vcpu: vcpu.mdccint, _set_mdccint),
    sys_reg(3, 3, 14, 3, 1): _control(_virtual),
    sys_reg(3, 3, 14, 0, 2): _compare(_virtual),
    sys_reg(3, 3, 14, 2, 1): _control(_physical),
    sys_reg(3, 3, 14, 2, 2): _compare(_physical),
    sys_reg(2, 0, 0, 2, 2): (lambda vcpu: vcpu.guest_mdscr, _set_mdscr),
    **{sys_reg(2, 0, 0, n, op2): _bank(of, n) for op2, of in _BANKS for n in range(16)},
}

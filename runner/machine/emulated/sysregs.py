"""System registers: their values at reset, and what KVM does for those that it traps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from runner.machine.emulated.hardware import HCR_TID1, HCR_TID2, HCR_TVM
from runner.machine.emulated.inject import inject_undefined, skip_instruction
from runner.machine.emulated.native import iss_encoding
from runner.machine.emulated.regfile import Encoding
from runner.machine.emulated.vcpu import Vcpu
from runner.machine.emulated.vgic import UNDEF, VgicV3

UNKNOWN_RESET: Final = 0x1DE7_EC7E_DBAD_C0DE
"""What KVM resets architecturally UNKNOWN registers to (``reset_unknown``)."""

SCTLR_EL1: Final = (3, 0, 1, 0, 0)
_VMPIDR_EL2: Final = (3, 4, 0, 0, 5)
_VPIDR_EL2: Final = (3, 4, 0, 0, 0)
_SCTLR_RESET: Final = 0x00C5_0078
_SCTLR_M_C: Final = 1 | 1 << 2

RESET_VALUES: Final[dict[Encoding, int]] = {
    SCTLR_EL1: _SCTLR_RESET,
    (3, 0, 1, 0, 2): 0,  # CPACR_EL1
    (3, 0, 2, 0, 0): UNKNOWN_RESET,  # TTBR0_EL1
    (3, 0, 2, 0, 1): UNKNOWN_RESET,  # TTBR1_EL1
    (3, 0, 2, 0, 2): 0,  # TCR_EL1
    (3, 0, 4, 0, 0): 0,  # SPSR_EL1
    (3, 0, 4, 0, 1): 0,  # ELR_EL1
    (3, 0, 5, 1, 0): UNKNOWN_RESET,  # AFSR0_EL1
    (3, 0, 5, 1, 1): UNKNOWN_RESET,  # AFSR1_EL1
    (3, 0, 5, 2, 0): UNKNOWN_RESET,  # ESR_EL1
    (3, 0, 6, 0, 0): UNKNOWN_RESET,  # FAR_EL1
    (3, 0, 7, 4, 0): UNKNOWN_RESET,  # PAR_EL1
    (3, 0, 10, 2, 0): UNKNOWN_RESET,  # MAIR_EL1
    (3, 0, 10, 3, 0): 0,  # AMAIR_EL1
    (3, 0, 12, 0, 0): 0,  # VBAR_EL1
    (3, 0, 13, 0, 1): 0,  # CONTEXTIDR_EL1
    (3, 0, 13, 0, 4): UNKNOWN_RESET,  # TPIDR_EL1
    (3, 3, 13, 0, 2): UNKNOWN_RESET,  # TPIDR_EL0
    (3, 3, 13, 0, 3): UNKNOWN_RESET,  # TPIDRRO_EL0
    (3, 0, 14, 1, 0): 0,  # CNTKCTL_EL1
    (3, 2, 0, 0, 0): UNKNOWN_RESET,  # CSSELR_EL1
}

_MIDR_A57: Final = 0x411F_D070
_MPIDR_VCPU0: Final = 0x8000_0000

HARDWARE_ID_REGISTERS: Final[dict[Encoding, int]] = {
    (3, 0, 0, 4, 0): 0x0100_0222,  # ID_AA64PFR0_EL1
    (3, 0, 0, 4, 1): 0,
    (3, 0, 0, 4, 4): 0,  # ID_AA64ZFR0_EL1
    (3, 0, 0, 5, 0): 0x1030_5106,  # ID_AA64DFR0_EL1
    (3, 0, 0, 5, 1): 0,
    (3, 0, 0, 5, 4): 0,  # ID_AA64AFR0_EL1
    (3, 0, 0, 5, 5): 0,
    (3, 0, 0, 6, 0): 0x0001_1120,  # ID_AA64ISAR0_EL1
    (3, 0, 0, 6, 1): 0,
    (3, 0, 0, 7, 0): 0x0000_1124,  # ID_AA64MMFR0_EL1
    (3, 0, 0, 7, 1): 0,
    (3, 0, 0, 7, 2): 0,
    (3, 0, 0, 1, 0): 0x0000_0131,  # ID_PFR0_EL1
    (3, 0, 0, 1, 1): 0x1001_1001,  # ID_PFR1_EL1
    (3, 0, 0, 1, 2): 0x0301_0006,  # ID_DFR0_EL1
    (3, 0, 0, 1, 3): 0,  # ID_AFR0_EL1
    (3, 0, 0, 1, 4): 0x1010_1105,  # ID_MMFR0_EL1
    (3, 0, 0, 1, 5): 0x4000_0000,  # ID_MMFR1_EL1
    (3, 0, 0, 1, 6): 0x0126_0000,  # ID_MMFR2_EL1
    (3, 0, 0, 1, 7): 0x0210_2211,  # ID_MMFR3_EL1
    (3, 0, 0, 2, 0): 0x0210_1110,  # ID_ISAR0_EL1
    (3, 0, 0, 2, 1): 0x1311_2111,
    (3, 0, 0, 2, 2): 0x2123_2042,
    (3, 0, 0, 2, 3): 0x0111_2131,
    (3, 0, 0, 2, 4): 0x0001_1142,
    (3, 0, 0, 2, 5): 0x0001_1121,
    (3, 0, 0, 2, 6): 0,  # ID_MMFR4_EL1
    (3, 0, 0, 2, 7): 0,
    (3, 0, 0, 3, 0): 0x1011_0222,  # MVFR0_EL1
    (3, 0, 0, 3, 1): 0x1211_1111,
    (3, 0, 0, 3, 2): 0x0000_0043,
}
"""What the hardware under KVM reports: a Cortex-A57 without EL3, with a GICv3."""

OSLSR_RESET: Final = 1 << 3
"""OSLSR_EL1.OSLM: there is an OS lock, and it is open."""
_OSLK: Final = 1 << 1

_PFR0: Final = (3, 0, 0, 4, 0)
_CSV3: Final = 1 << 60
_CSV2: Final = 1 << 56
_GIC: Final = 0xF << 24


def reset_system_registers(vcpu: Vcpu) -> None:
    """``kvm_reset_vcpu``: registers, and the identity that the vCPU shows."""
    cpu = vcpu.cpu
    for encoding, value in RESET_VALUES.items():
        cpu.engine.write_sys(encoding, value)
    cpu.engine.write_sys(_VPIDR_EL2, _MIDR_A57)
    cpu.engine.write_sys(_VMPIDR_EL2, _MPIDR_VCPU0)
    traps = HCR_TVM
    if vcpu.behaviour.ctr_trapped:
        traps |= HCR_TID2
    if vcpu.behaviour.implementation_id_trapped:
        traps |= HCR_TID1
    cpu.set_hcr(traps)
    if not vcpu.behaviour.id_registers_trapped:
        cpu.id_registers = HARDWARE_ID_REGISTERS


def handle_sys64(vcpu: Vcpu) -> int:
    """``kvm_handle_sys_reg``: a trapped MRS, MSR or SYS instruction."""
    iss = vcpu.cpu.hsr & 0x1FFFFFF
    encoding = iss_encoding(iss)
    handler = _HANDLERS.get(encoding) or _by_range(vcpu, encoding)
    if handler is None:
        inject_undefined(vcpu)
        return 1
    rt = iss >> 5 & 31
    if iss & 1:
        value = handler(vcpu, encoding, None)
        if value is None:
            inject_undefined(vcpu)
            return 1
        vcpu.cpu.set_x(rt, value)
    else:
        handler(vcpu, encoding, 0 if rt == 31 else vcpu.cpu.x(rt))
    if vcpu.pending_exception is None:
        skip_instruction(vcpu)
    return 1


Access = Callable[[Vcpu, Encoding, int | None], int | None]
"""Reads where the last argument is None, else writes it. A read of None is UNDEFINED."""


def _by_range(vcpu: Vcpu, encoding: Encoding) -> Access | None:
    op0, op1, crn, crm, _ = encoding
    if op0 == 2 and op1 == 0 and crn == 0 and encoding[4] >= 4:
        return _DEBUG_BANKS[encoding[4]]
    if (op0, op1, crn) == (3, 0, 0) and crm:
        return _id_register
    if op0 == 3 and (crn, crm) in _PMU_GROUPS:
        return _pmu
    if vcpu.gic is not None and op0 == 3 and crn in (4, 12):
        return _gic
    return None


def _mdscr(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    if value is not None:
        vcpu.guest_mdscr = value
        vcpu.debug_changed = True
    return vcpu.guest_mdscr


def _bank(of: Callable[[Vcpu], list[int]]) -> Access:
    def access(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
        registers = of(vcpu)
        if value is not None:
            registers[encoding[3]] = value
            vcpu.debug_changed = True
        return registers[encoding[3]]

    return access


_DEBUG_BANKS: Final[dict[int, Access]] = {
    4: _bank(lambda vcpu: vcpu.guest_bvr),
    5: _bank(lambda vcpu: vcpu.guest_bcr),
    6: _bank(lambda vcpu: vcpu.guest_wvr),
    7: _bank(lambda vcpu: vcpu.guest_wcr),
}


def _raz_wi(_vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    return 0


def _oslsr(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    return vcpu.oslsr


def _oslar(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    if value is not None and vcpu.behaviour.os_lock_emulated:
        vcpu.shape("os_lock_emulated")
        vcpu.oslsr = vcpu.oslsr & ~_OSLK | (value & 1) * _OSLK
        vcpu.debug_changed = True
    return None


def _mdccint(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    if value is not None:
        vcpu.mdccint = value
    return vcpu.mdccint


def _vm_register(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """Trapped by HCR_EL2.TVM until the guest turns its MMU and caches on."""
    if value is None:
        return vcpu.cpu.read_sys(encoding)
    vcpu.cpu.write_sys(encoding, value)
    if encoding == SCTLR_EL1 and value & _SCTLR_M_C == _SCTLR_M_C:
        vcpu.cpu.set_hcr(vcpu.cpu.hcr & ~HCR_TVM)
    return None


def _id_register(vcpu: Vcpu, encoding: Encoding, _value: int | None) -> int | None:
    vcpu.shape("id_registers_trapped")
    value = HARDWARE_ID_REGISTERS.get(encoding, 0)
    sanitise = _SANITISED.get(encoding)
    return value if sanitise is None else sanitise(vcpu, value)


def _sanitised_pfr0(vcpu: Vcpu, value: int) -> int:
    if vcpu.behaviour.id_csv3_reported:
        vcpu.shape("id_csv3_reported")
        value |= _CSV3
    return _without_gic(_GIC)(vcpu, value)


def _without_gic(field: int) -> Callable[[Vcpu, int], int]:
    def sanitise(vcpu: Vcpu, value: int) -> int:
        if not vcpu.behaviour.id_gic_hidden or isinstance(vcpu.gic, VgicV3):
            return value
        vcpu.shape("id_gic_hidden")
        return value & ~field

    return sanitise


def _without_pmu(field: int) -> Callable[[Vcpu, int], int]:
    def sanitise(vcpu: Vcpu, value: int) -> int:
        if not vcpu.behaviour.id_pmu_hidden:
            return value
        vcpu.shape("id_pmu_hidden")
        return value & ~field

    return sanitise


_SANITISED: Final[dict[Encoding, Callable[[Vcpu, int], int]]] = {
    _PFR0: _sanitised_pfr0,
    (3, 0, 0, 1, 1): _without_gic(0xF << 28),  # ID_PFR1_EL1.GIC
    (3, 0, 0, 5, 0): _without_pmu(0xF << 8),  # ID_AA64DFR0_EL1.PMUVer
    (3, 0, 0, 1, 2): _without_pmu(0xF << 24),  # ID_DFR0_EL1.PerfMon
}


def _implementation_id(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    vcpu.shape("implementation_id_trapped")
    return 0


def _set_way(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    """``access_dcsw``: KVM flushes the VM's memory and, while the caches are on, looks out again
    for when they are switched."""
    cpu = vcpu.cpu
    if cpu.sctlr & _SCTLR_M_C == _SCTLR_M_C:
        cpu.set_hcr(cpu.hcr | HCR_TVM)
    return None


def _ctr(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    vcpu.shape("ctr_trapped")
    return 0x8444_C004


def _cache_register(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """KVM makes the caches up since it traps them: one level, one set, one way."""
    vcpu.shape("ctr_trapped")
    if value is not None and encoding == _CSSELR_EL1:
        vcpu.csselr = value
    elif value is not None:
        inject_undefined(vcpu)
    elif encoding == _CSSELR_EL1:
        return vcpu.csselr
    elif encoding == _CCSIDR_EL1:
        return _CCSIDR if vcpu.csselr & 0xF < _CSSELR_MAX else 0
    return _CLIDR


def _physical_timer(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """``access_arch_timer``: the physical timer is KVM's. Here it keeps what is written, and
    never fires."""
    timer = vcpu.timer
    now = vcpu.cpu.read_sys(_CNTPCT_EL0)
    register = encoding[4]
    if register == _CTL:
        if value is not None:
            timer.control = value & 3
        return timer.control | (_ISTATUS if now >= timer.compare else 0)
    if value is not None:
        timer.compare = value if register == _CVAL else now + _signed32(value) & (1 << 64) - 1
    return timer.compare if register == _CVAL else timer.compare - now & 0xFFFF_FFFF


def _signed32(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


def _pmu(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    if vcpu.behaviour.pmu_undefined:
        vcpu.shape("pmu_undefined")
        inject_undefined(vcpu)
        return None
    return 0


_PMU_GROUPS: Final = {(9, 12), (9, 13), (9, 14)} | {(14, crm) for crm in range(8, 16)}


def _gic(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    assert vcpu.gic is not None
    if value is None:
        found = vcpu.gic.icc_read(encoding)
        return None if found is UNDEF else found
    vcpu.gic.icc_write(encoding, value)
    return None


_CNTPCT_EL0: Final = (3, 3, 14, 0, 1)
_CTL, _CVAL = 1, 2
_ISTATUS: Final = 1 << 2
_CCSIDR_EL1: Final = (3, 1, 0, 0, 0)
_CLIDR_EL1: Final = (3, 1, 0, 0, 1)
_CSSELR_EL1: Final = (3, 2, 0, 0, 0)
_CLIDR: Final = 0x0920_0003
"""Level 1 has both caches, and is the point of coherency and of both unifications."""
_CCSIDR: Final = 2
"""Lines of 64 bytes."""
_CSSELR_MAX: Final = 14

_TRAPPED_BY_TVM: Final[tuple[Encoding, ...]] = (
    SCTLR_EL1,
    (3, 0, 2, 0, 0),  # TTBR0_EL1
    (3, 0, 2, 0, 1),  # TTBR1_EL1
    (3, 0, 2, 0, 2),  # TCR_EL1
    (3, 0, 5, 1, 0),  # AFSR0_EL1
    (3, 0, 5, 1, 1),  # AFSR1_EL1
    (3, 0, 5, 2, 0),  # ESR_EL1
    (3, 0, 6, 0, 0),  # FAR_EL1
    (3, 0, 10, 2, 0),  # MAIR_EL1
    (3, 0, 10, 3, 0),  # AMAIR_EL1
    (3, 0, 13, 0, 1),  # CONTEXTIDR_EL1
)

_HANDLERS: Final[dict[Encoding, Access]] = {
    (2, 0, 0, 2, 2): _mdscr,
    (2, 0, 0, 2, 0): _mdccint,
    (2, 3, 0, 1, 0): _raz_wi,  # MDCCSR_EL0
    (2, 3, 0, 4, 0): _raz_wi,  # DBGDTR_EL0
    (2, 3, 0, 5, 0): _raz_wi,  # DBGDTRTX_EL0, DBGDTRRX_EL0
    (2, 0, 0, 0, 2): _raz_wi,  # OSDTRRX_EL1
    (2, 0, 0, 3, 2): _raz_wi,  # OSDTRTX_EL1
    (2, 0, 0, 6, 2): _raz_wi,  # OSECCR_EL1
    (2, 0, 1, 0, 0): _raz_wi,  # MDRAR_EL1
    (2, 0, 1, 0, 4): _oslar,
    (2, 0, 1, 1, 4): _oslsr,
    (2, 0, 1, 3, 4): _raz_wi,  # OSDLR_EL1
    (2, 0, 1, 4, 4): _raz_wi,  # DBGPRCR_EL1
    (2, 0, 7, 8, 6): _raz_wi,  # DBGCLAIMSET_EL1
    (2, 0, 7, 9, 6): _raz_wi,  # DBGCLAIMCLR_EL1
    (2, 0, 7, 14, 6): _raz_wi,  # DBGAUTHSTATUS_EL1
    (3, 3, 0, 0, 1): _ctr,
    (3, 0, 1, 0, 1): _raz_wi,  # ACTLR_EL1: what a Cortex-A57 without EL3 shows
    (3, 0, 0, 0, 6): _implementation_id,  # REVIDR_EL1
    (3, 1, 0, 0, 7): _implementation_id,  # AIDR_EL1
    (3, 3, 14, 2, 0): _physical_timer,  # CNTP_TVAL_EL0
    (3, 3, 14, 2, 1): _physical_timer,  # CNTP_CTL_EL0
    (3, 3, 14, 2, 2): _physical_timer,  # CNTP_CVAL_EL0
    _CCSIDR_EL1: _cache_register,
    _CLIDR_EL1: _cache_register,
    _CSSELR_EL1: _cache_register,
    (1, 0, 7, 6, 2): _set_way,
    (1, 0, 7, 10, 2): _set_way,
    (1, 0, 7, 14, 2): _set_way,
    **dict.fromkeys(_TRAPPED_BY_TVM, _vm_register),
}

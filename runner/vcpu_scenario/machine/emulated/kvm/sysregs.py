"""System registers: their values at reset, and what KVM does for those that it traps."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu.controls import HCR_TID1, HCR_TID2, HCR_TVM
from vcpu_scenario.machine.emulated.cpu.icv import SGI_REGISTERS
from vcpu_scenario.machine.emulated.cpu.native import PMU_GROUPS, iss_encoding
from vcpu_scenario.machine.emulated.kvm import cacheregs, debugregs, pmuregs, timerregs
from vcpu_scenario.machine.emulated.kvm.debugregs import Access
from vcpu_scenario.machine.emulated.kvm.idregs import id_register, implementation_id
from vcpu_scenario.machine.emulated.kvm.inject import inject_undefined, skip_instruction
from vcpu_scenario.machine.emulated.kvm.vcpu import UNKNOWN_RESET, Vcpu
from vcpu_scenario.machine.emulated.vgic import UNDEF

_SCTLR_RESET: Final = 0x00C5_0078
_SCTLR_M_C: Final = 1 | 1 << 2

RESET_VALUES: Final[dict[Encoding, int]] = {
    sysregs.SCTLR_EL1: _SCTLR_RESET,
    sysregs.CPACR_EL1: 0,
    sysregs.TTBR0_EL1: UNKNOWN_RESET,
    sysregs.TTBR1_EL1: UNKNOWN_RESET,
    sysregs.TCR_EL1: 0,
    sysregs.SPSR_EL1: 0,
    sysregs.ELR_EL1: 0,
    sysregs.AFSR0_EL1: UNKNOWN_RESET,
    sysregs.AFSR1_EL1: UNKNOWN_RESET,
    sysregs.ESR_EL1: UNKNOWN_RESET,
    sysregs.FAR_EL1: UNKNOWN_RESET,
    sysregs.PAR_EL1: UNKNOWN_RESET,
    sysregs.MAIR_EL1: UNKNOWN_RESET,
    sysregs.AMAIR_EL1: 0,
    sysregs.VBAR_EL1: 0,
    sysregs.CONTEXTIDR_EL1: 0,
    sysregs.TPIDR_EL1: UNKNOWN_RESET,
    sysregs.TPIDR_EL0: UNKNOWN_RESET,
    sysregs.TPIDRRO_EL0: UNKNOWN_RESET,
    sysregs.CNTKCTL_EL1: 0,
    sysregs.CSSELR_EL1: UNKNOWN_RESET,
}


def reset_system_registers(vcpu: Vcpu) -> None:
    """``kvm_reset_vcpu``: registers, and the identity that the vCPU shows."""
    cpu = vcpu.cpu
    for encoding, value in RESET_VALUES.items():
        cpu.engine.write_sys(encoding, value)
    cpu.engine.write_sys(sysregs.VPIDR_EL2, implementation_id(vcpu, sysregs.MIDR_EL1))
    cpu.engine.write_sys(sysregs.VMPIDR_EL2, vcpu.mpidr)
    traps = HCR_TVM
    if vcpu.behaviour.ctr_trapped:
        traps |= HCR_TID2
    if vcpu.behaviour.implementation_id_trapped:
        traps |= HCR_TID1
    cpu.set_hcr(traps | cpu.interrupt_lines)


def handle_sys64(vcpu: Vcpu) -> int:
    """``kvm_handle_sys_reg``: a trapped MRS, MSR or SYS instruction."""
    iss = vcpu.cpu.hsr & 0x1FFFFFF
    encoding = iss_encoding(iss)
    handler = _HANDLERS.get(encoding) or _by_range(vcpu, encoding)
    if handler is None:
        inject_undefined(vcpu)
        return 1
    rt, at = iss >> 5 & 31, vcpu.cpu.pc
    if iss & 1:
        value = handler(vcpu, encoding, None)
        if value is None:
            inject_undefined(vcpu)
            return 1
        vcpu.cpu.set_x(rt, value)
    else:
        handler(vcpu, encoding, 0 if rt == 31 else vcpu.cpu.x(rt))
    if vcpu.pending_exception is None and vcpu.cpu.pc == at:  # no exception was injected
        skip_instruction(vcpu)
    return 1


def _by_range(vcpu: Vcpu, encoding: Encoding) -> Access | None:
    op0, op1, crn, crm, _ = encoding
    if op0 == 2 and op1 == 0 and crn == 0 and encoding[4] >= 4:
        return debugregs.BANKS[encoding[4]]
    if (op0, op1, crn) == (3, 0, 0) and crm:
        return id_register
    if op0 == 3 and (crn, crm) in PMU_GROUPS:
        return _pmu
    if op0 == 3 and crn in (4, 12):
        return _without_vgic if vcpu.gic is None else _gic
    return None


def _actlr(vcpu: Vcpu, _encoding: Encoding, value: int | None) -> int | None:
    """What the VMM wrote, else 0, as a Cortex-A57 without EL3 shows; the guest writes nothing."""
    return vcpu.kept.get(sysregs.ACTLR_EL1, 0) if value is None else None


def _vm_register(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """Trapped by HCR_EL2.TVM until the guest writes one with its MMU and caches on
    (``kvm_toggle_cache``)."""
    cpu = vcpu.cpu
    if value is None:
        return cpu.read_sys(encoding)
    cpu.write_sys(encoding, value)
    if cpu.sctlr_el1.value & _SCTLR_M_C == _SCTLR_M_C:
        cpu.set_hcr(cpu.hcr & ~HCR_TVM)
    return None


def _set_way(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    """``kvm_set_way_flush``: KVM flushes the VM's memory, and looks out again for when the caches
    are switched."""
    cpu = vcpu.cpu
    cpu.set_hcr(cpu.hcr | HCR_TVM)
    return None


def _pmu(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    if vcpu.pmu is not None:
        return pmuregs.access(vcpu, encoding, value)
    if vcpu.behaviour.pmu_undefined:
        inject_undefined(vcpu)
        return None
    return 0


def _gic(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    assert vcpu.gic is not None
    if value is None:
        found = vcpu.gic.icc_read(encoding)
        return None if found is UNDEF else found
    vcpu.gic.icc_write(encoding, value)
    return None


def _without_vgic(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """``access_gic_sgi`` and the rest of a CPU interface that the VM does not have."""
    is_sgi = encoding in SGI_REGISTERS
    if is_sgi and not vcpu.behaviour.sgi_undefined_without_gic:
        return None  # it is sent to nobody
    if value is not None:
        inject_undefined(vcpu)
    return None


_TRAPPED_BY_TVM: Final[tuple[Encoding, ...]] = (
    sysregs.SCTLR_EL1,
    sysregs.TTBR0_EL1,
    sysregs.TTBR1_EL1,
    sysregs.TCR_EL1,
    sysregs.AFSR0_EL1,
    sysregs.AFSR1_EL1,
    sysregs.ESR_EL1,
    sysregs.FAR_EL1,
    sysregs.MAIR_EL1,
    sysregs.AMAIR_EL1,
    sysregs.CONTEXTIDR_EL1,
)

_HANDLERS: Final[dict[Encoding, Access]] = {
    **debugregs.HANDLERS,
    sysregs.CTR_EL0: cacheregs.access_ctr,
    sysregs.ACTLR_EL1: _actlr,
    sysregs.REVIDR_EL1: implementation_id,
    sysregs.AIDR_EL1: implementation_id,
    sysregs.CNTP_TVAL_EL0: timerregs.access_physical,
    sysregs.CNTP_CTL_EL0: timerregs.access_physical,
    sysregs.CNTP_CVAL_EL0: timerregs.access_physical,
    sysregs.CCSIDR_EL1: cacheregs.access,
    sysregs.CLIDR_EL1: cacheregs.access,
    sysregs.CSSELR_EL1: cacheregs.access,
    sysregs.DC_ISW: _set_way,
    sysregs.DC_CSW: _set_way,
    sysregs.DC_CISW: _set_way,
    **dict.fromkeys(_TRAPPED_BY_TVM, _vm_register),
}

"""``KVM_ARM_VCPU_INIT``: the features of a vCPU, and its reset (``kvm_reset_vcpu``)."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EINVAL, ENOENT
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.features import FEATURES, PMU_V3, POWER_OFF, PSCI_0_2, bits_of
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS
from vcpu_scenario.machine.emulated.cpu.regfile import DAIF, EL1H
from vcpu_scenario.machine.emulated.kvm.pmu import Pmu
from vcpu_scenario.machine.emulated.kvm.registers import registers_of, reset_unloaded
from vcpu_scenario.machine.emulated.kvm.sysregs import reset_system_registers
from vcpu_scenario.machine.emulated.kvm.vcpu import OSLSR_RESET, UNKNOWN_RESET, Reset, Vcpu
from vcpu_scenario.machine.emulated.kvm.vm import mpidr_of
from vcpu_scenario.machine.errors import KvmError, NotModelled, initialising

_SCTLR_EE: Final = 1 << 25
_ZEROED: Final = (*CORE_REGISTERS.values(), *FP_REGISTERS.values())
_KEPT: Final = tuple(CORE_REGISTERS[name] for name in ("sp_el1", "elr_el1", "spsr_el1"))


def vcpu_init(
    vcpu: Vcpu, features: Sequence[str], target: int | None = None, bits: int = 0
) -> None:
    """Raises EINVAL where the features are others than at first, of which power_off is none on
    kernels on which it says how the reset vCPU is, and for a target that is not the CPU's; ENOENT
    for bits that are no feature."""
    features = _checked(vcpu, features, target, bits)
    asked = frozenset(features)
    counted = asked - {POWER_OFF} if vcpu.behaviour.power_off_ephemeral else asked
    if vcpu.features is not None:
        if counted != vcpu.features:
            raise KvmError(EINVAL, initialising(features))
        reset(vcpu)
    elif vcpu.number:
        vcpu.mpidr = mpidr_of(vcpu.number)
        vcpu.cpu.engine.write_sys(sysregs.VMPIDR_EL2, vcpu.mpidr)
    if vcpu.has_run:
        vcpu.memslots.unmap()
    if not (vcpu.has_run and vcpu.behaviour.reset_keeps_pending):
        vcpu.cpu.withdraw_interrupts()  # vcpu_reset_hcr
    if PMU_V3 in asked and vcpu.pmu is None:
        vcpu.pmu = _pmu_of(vcpu)
    vcpu.features = counted
    vcpu.psci_0_2 = PSCI_0_2 in asked
    stopped = POWER_OFF in asked
    vcpu.mp_state = abi.KVM_MP_STATE_STOPPED if stopped else abi.KVM_MP_STATE_RUNNABLE


def _pmu_of(vcpu: Vcpu) -> Pmu:
    if not vcpu.model.pmu_counters:
        raise NotModelled(f"the PMU of a {vcpu.model.name}")
    if not vcpu.behaviour.pmu_seen:
        raise NotModelled("the PMU of kernels before 5.10")

    def drive(irq: int, level: bool) -> None:
        if vcpu.gic is not None:
            vcpu.gic.drive(irq, level)

    return Pmu(vcpu.model, vcpu.cpu, vcpu.behaviour, vcpu.vm, drive)


_GENERIC: Final = 5
"""``KVM_ARM_TARGET_GENERIC_V8``, which every CPU may be asked for as."""
_TARGETS: Final = {"cortex-a57": 2}
"""The target that is a CPU's own; the others are generic ones."""
_NO_FEATURE: Final = -1 << 9
_OF_EL2: Final = 0b11 << 7
_OF_OTHER_CPUS: Final = 0b1111 << 4
"""SVE, pointer authentication, and EL2, without which KVM_ARM_VCPU_HAS_EL2_E2H0 means nothing and
is taken (``system_supported_vcpu_features``)."""


def preferred_target(vcpu: Vcpu) -> int:
    """``KVM_ARM_PREFERRED_TARGET``, whose features are none."""
    if vcpu.behaviour.generic_target_accepted:
        return _GENERIC
    return _TARGETS.get(vcpu.model.name, _GENERIC)


def _checked(vcpu: Vcpu, features: Sequence[str], target: int | None, bits: int) -> tuple[str, ...]:
    what = initialising(features, target, bits)
    own = _TARGETS.get(vcpu.model.name, _GENERIC)
    if target not in (None, own) and not (
        target == _GENERIC and vcpu.behaviour.generic_target_accepted
    ):
        raise KvmError(EINVAL, what)
    known = vcpu.behaviour.nested_features_known
    if bits & (_NO_FEATURE if known else _NO_FEATURE | _OF_EL2):
        raise KvmError(ENOENT, what)
    if bits & _OF_OTHER_CPUS:
        raise KvmError(EINVAL, what)
    if vcpu.features is not None and bits & ~bits_of((*vcpu.features, *features, POWER_OFF)):
        raise KvmError(EINVAL, what)  # other features than at first
    named = tuple(name for name, bit in FEATURES.items() if bits >> bit & 1)
    if bits & ~bits_of(named):
        raise NotModelled(f"a vCPU with features {bits:#x}")
    return (*features, *named)


def reset(vcpu: Vcpu) -> None:
    """``kvm_reset_vcpu`` of the vCPU that is on the CPU.

    Where another one has switched it on it begins as that asked for. What was asked of guest debug
    stays, and so do an access in flight, the ID registers and what describes the VM."""
    vcpu.waits, vcpu.until = False, None
    registers = registers_of(vcpu.behaviour)
    kept = {}
    if vcpu.behaviour.reset_keeps_el1_banked:
        kept = {reg: registers[reg][0](vcpu) for reg in _KEPT}
    for reg in _ZEROED:
        if reg != CORE_REGISTERS["pstate"]:
            registers[reg][1](vcpu, 0)
    vcpu.cpu.pstate = DAIF | EL1H
    if not vcpu.behaviour.vcpu_ids_reset_once:
        vcpu.mpidr = mpidr_of(vcpu.number)
        vcpu.clidr = None
    vcpu.kept.clear()
    vcpu.unloaded.clear()
    reset_system_registers(vcpu)
    reset_unloaded(vcpu)
    if vcpu.pmu is not None:
        vcpu.pmu.reset()
    vcpu.csselr = UNKNOWN_RESET
    vcpu.oslsr = OSLSR_RESET
    vcpu.guest_mdscr = vcpu.mdccint = 0
    for bank in (vcpu.guest_bcr, vcpu.guest_bvr, vcpu.guest_wcr, vcpu.guest_wvr):
        bank[:] = [0] * len(bank)
    vcpu.debug_changed = True
    timers = vcpu.cpu.timers
    for timer in (timers.virtual, timers.physical):
        timer.set_control(0)
        if vcpu.behaviour.reset_clears_timer_compare:
            timer.set_compare(0)
    for reg, value in kept.items():
        registers[reg][1](vcpu, value)
    if vcpu.pending_reset is not None:
        _begin(vcpu, vcpu.pending_reset)
        vcpu.pending_reset = None


def _begin(vcpu: Vcpu, switched_on: Reset) -> None:
    cpu = vcpu.cpu
    cpu.regs[0] = switched_on.context
    cpu.pc = switched_on.pc
    if switched_on.big_endian:
        cpu.write_sys(sysregs.SCTLR_EL1, cpu.sctlr_el1.value | _SCTLR_EE)

"""vCPUs that are switched on and off by others: PSCI's CPU_ON, CPU_OFF and AFFINITY_INFO.

After ``arch/arm64/kvm/psci.c``.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu.regfile import DAIF, EL1H
from vcpu_scenario.machine.emulated.cpu.timers import Timers
from vcpu_scenario.machine.emulated.kvm.sysregs import reset_system_registers
from vcpu_scenario.machine.emulated.kvm.vcpu import Reset, Vcpu
from vcpu_scenario.machine.emulated.kvm.vm import AFFINITY

SUCCESS: Final = 0
INVALID_PARAMETERS: Final = (1 << 64) - 2
ALREADY_ON: Final = (1 << 64) - 4
_ON, _OFF = 0, 1
_LEVELS: Final = 4
_SCTLR_EE: Final = 1 << 25


def affinity_info(vcpu: Vcpu, target: int, level: int) -> int:
    """Whether one of the vCPUs is on whose affinities are those of ``target`` from ``level`` on."""
    if level >= _LEVELS or not _is_affinity(vcpu, target):
        return INVALID_PARAMETERS
    mask = AFFINITY & -1 << 8 * level
    meant = [one for one in vcpu.vm.vcpus if not (one.mpidr ^ target) & mask]
    if not meant:
        return INVALID_PARAMETERS
    return _OFF if all(map(is_stopped, meant)) else _ON


def cpu_on(vcpu: Vcpu, target: int, entry: int, context: int) -> int:
    """``kvm_psci_vcpu_on``."""
    meant = vcpu.vm.at(target) if _is_affinity(vcpu, target) else None
    if meant is None:
        return INVALID_PARAMETERS
    if not is_stopped(meant):
        return ALREADY_ON if vcpu.psci_0_2 else INVALID_PARAMETERS
    meant.pending_reset = Reset(entry, context, vcpu.cpu.is_big_endian)
    meant.mp_state = abi.KVM_MP_STATE_RUNNABLE
    return SUCCESS


def is_stopped(vcpu: Vcpu) -> bool:
    return vcpu.mp_state == abi.KVM_MP_STATE_STOPPED


def _is_affinity(vcpu: Vcpu, affinity: int) -> bool:
    return not (vcpu.behaviour.psci_affinity_checked and affinity & ~AFFINITY)


def reset_if_due(vcpu: Vcpu) -> None:
    """``kvm_reset_vcpu`` for one that was switched on: it is as new, but for its interrupt
    controller and where it begins. It must be on the CPU."""
    reset, cpu = vcpu.pending_reset, vcpu.cpu
    if reset is None:
        return
    vcpu.pending_reset = None
    gic, gicv, identity, clock = cpu.gic, cpu.gicv, cpu.id_registers, cpu.timers.clock
    ahead = [timer.ahead for timer in (cpu.timers.virtual, cpu.timers.physical)]
    cpu.forget_registers()
    cpu.gic, cpu.gicv, cpu.id_registers, cpu.timers = gic, gicv, identity, Timers(clock)
    cpu.timers.virtual.ahead, cpu.timers.physical.ahead = ahead
    reset_system_registers(vcpu)
    vcpu.forget()
    cpu.pstate = DAIF | EL1H
    cpu.regs[0] = reset.context
    cpu.pc = reset.pc & ~3 if reset.pc & 1 else reset.pc
    if reset.big_endian:
        cpu.write_sys(sysregs.SCTLR_EL1, cpu.sctlr_el1.value | _SCTLR_EE)

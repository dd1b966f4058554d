"""vCPUs that are switched on and off by others: PSCI's CPU_ON, CPU_OFF and AFFINITY_INFO.

After ``arch/arm64/kvm/psci.c``.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.reset import reset
from vcpu_scenario.machine.emulated.kvm.vcpu import Reset, Vcpu
from vcpu_scenario.machine.emulated.kvm.vm import AFFINITY

SUCCESS: Final = 0
INVALID_PARAMETERS: Final = (1 << 64) - 2
ALREADY_ON: Final = (1 << 64) - 4
_ON, _OFF = 0, 1
_LEVELS: Final = 4


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


def reset_at_once(vcpu: Vcpu) -> None:
    """``KVM_REQ_VCPU_RESET`` of one that was switched on, and that is on the CPU."""
    vcpu.increment_pc = False
    vcpu.pending_exception = None
    reset(vcpu)

"""The ioctls that make a VM, made again: which of them KVM refuses, and how.

What it does not refuse would make another VM than the case has, and is not modelled.
"""

from __future__ import annotations

from errno import EBUSY, EEXIST, EINVAL, ENODEV
from typing import Final

from vcpu_scenario.ioctls.vm import SetCounterOffset
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.machine.emulated.cpu.timers import HOST_AHEAD
from vcpu_scenario.machine.emulated.kvm.timerregs import physical_moved
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic import VgicV2
from vcpu_scenario.machine.errors import KvmError, Lacking

_IPA_BITS: Final = 0xFF
_LEAST_BITS: Final = 32
_MOST_VCPUS: Final = 512
VGIC_V2_MAX_CPUS: Final = 8


def check_vm_type(type_: int, pa_bits: int, behaviour: Behaviour) -> None:
    """``kvm_init_stage2_mmu``: up to 4.19 a VM has no type."""
    bits = type_ & _IPA_BITS
    known = behaviour.vm_type_ipa_size and type_ == bits
    if known and behaviour.pkvm_vm_copied:
        return
    if type_ and not (known and _LEAST_BITS <= bits <= pa_bits):
        raise KvmError(EINVAL, f"KVM_CREATE_VM {type_:#x}")


def check_vcpu(vcpu: Vcpu, number: int) -> None:
    """``kvm_vm_ioctl_create_vcpu``: whether a further one can be, which the vGIC then knows."""
    what = f"KVM_CREATE_VCPU {number}"
    vm, device = vcpu.vm, vcpu.vm.vgic
    most = VGIC_V2_MAX_CPUS if device is not None and device.version == 2 else _MOST_VCPUS
    if len(vm.vcpus) >= most or number >= _MOST_VCPUS:
        raise KvmError(EINVAL, what)
    if vcpu.gic is not None:  # which is initialised
        raise KvmError(EBUSY, what)
    if number >= most:
        raise KvmError(EINVAL, what)
    if any(one.number == number for one in vm.vcpus):
        raise KvmError(EEXIST, what)
    if device is not None and not device.places.add_vcpu():
        raise KvmError(EINVAL, what)


def create_irqchip(vcpu: Vcpu) -> None:
    """``kvm_vgic_create`` of a vGICv2, which only a host with a GICv2 has."""
    there = vcpu.vm.vgic is not None and not vcpu.behaviour.irqchip_wants_gicv2_first
    raised = EEXIST if there or isinstance(vcpu.gic, VgicV2) else ENODEV
    raise KvmError(raised, "KVM_CREATE_IRQCHIP")


def set_counter_offset(vcpu: Vcpu, asked: SetCounterOffset) -> None:
    """``kvm_vm_ioctl_set_counter_offset``: from then on no VMM sets the counters by their
    registers."""
    what = "KVM_ARM_SET_COUNTER_OFFSET"
    if not vcpu.behaviour.counter_offset:
        raise Lacking(EINVAL, what)
    if asked.reserved:
        raise KvmError(EINVAL, what)
    vcpu.vm.counter_offset = True
    physical_moved(vcpu, moved=bool(asked.offset))
    vcpu.cpu.timers.clock.ahead[:] = [HOST_AHEAD - asked.offset & (1 << 64) - 1] * 2

"""Joins a vGIC to the vCPU: its regions on the bus, its CPU interface to the hardware."""

from __future__ import annotations

from errno import EINVAL, ENXIO
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Gic
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated import vgic
from vcpu_scenario.machine.emulated.cpu.icv import READS, SGI_REGISTERS, WRITES
from vcpu_scenario.machine.emulated.kvm import frames
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.vm import Vm, mpidr_of
from vcpu_scenario.machine.emulated.vgic import VgicFeatures
from vcpu_scenario.machine.interface import NotModelled

_OF_A_VGIC: Final = (abi.KVM_ARM_IRQ_TYPE_SPI, abi.KVM_ARM_IRQ_TYPE_PPI)


class _Region:
    def __init__(self, gic: vgic.Vgic) -> None:
        self._gic = gic

    def read(self, ipa: int, length: int) -> int | None:
        return self._gic.mmio(ipa, length, False, 0)

    def write(self, ipa: int, length: int, value: int) -> bool:
        return self._gic.mmio(ipa, length, True, value) is not None


class _Banked:
    """A GICv2's distributor: each vCPU has its own registers of private interrupts there."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm

    def read(self, ipa: int, length: int) -> int | None:
        gic = self._vm.on_cpu.gic
        return None if gic is None else gic.mmio(ipa, length, False, 0)

    def write(self, ipa: int, length: int, value: int) -> bool:
        gic = self._vm.on_cpu.gic
        return gic is not None and gic.mmio(ipa, length, True, value) is not None


def create_gic(vcpu: Vcpu, gic: Gic) -> None:
    """``KVM_CREATE_DEVICE``, its addresses and ``KVM_DEV_ARM_VGIC_CTRL_INIT``."""
    vm = vcpu.vm
    frames.check(gic, vcpu.behaviour, len(vm.vcpus))
    first: vgic.Vgic | None = None
    for one in vm.vcpus:
        one.gic = vgic.create(gic, features(one.behaviour), first)
        one.gic_error = frames.error_at_first_run(gic)
        first = first or one.gic
        if first is one.gic or gic.version == 3:
            region = _Region(one.gic) if gic.version == 3 else _Banked(vm)
            for base, size in one.gic.regions():
                vcpu.bus.register(base, size, region)
    if isinstance(first, vgic.VgicV2) and not vcpu.behaviour.gicv_trapped:
        vcpu.cpu.stage2.note_mapping(*first.mapped())
    connect(vm.on_cpu)


def connect(vcpu: Vcpu) -> None:
    """Gives the CPU the interface of the vCPU that is on it."""
    if vcpu.gic is None:
        return
    vcpu.cpu.gic = vcpu.gic
    if isinstance(vcpu.gic, vgic.VgicV2) and not vcpu.behaviour.gicv_trapped:
        vcpu.cpu.gicv = vcpu.gic


def first_run(vcpu: Vcpu) -> int:
    """``kvm_vgic_map_resources``: 0, or the negative errno with which ``KVM_RUN`` fails."""
    if vcpu.gic is None:
        return 0
    if isinstance(vcpu.gic, vgic.VgicV3) and vcpu.mpidr != mpidr_of(vcpu.number):
        raise NotModelled(f"a GICv3 of a vCPU that is elsewhere (mpidr_el1 = {vcpu.mpidr:#x})")
    if not vcpu.gic_error:
        vcpu.gic.first_run()
    return vcpu.gic_error


def irq_line(vcpu: Vcpu, irq: int, level: int) -> int:
    """``KVM_IRQ_LINE``: 0, or the negative errno.

    Without a vGIC only the CPU's own lines can be raised, ``KVM_ARM_IRQ_TYPE_CPU``, and only
    without one (``kvm_vm_ioctl_irq_line``, ``vcpu_interrupt_line``).
    """
    if vcpu.gic is not None:
        return vcpu.gic.irq_line(irq, level)
    kind = irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & 0xF
    if kind != abi.KVM_ARM_IRQ_TYPE_CPU:
        return -ENXIO if kind in _OF_A_VGIC else -EINVAL
    number, index = irq & 0xFFFF, irq >> 16 & 0xFF
    if index >= len(vcpu.vm.vcpus) or number > 1:
        return -EINVAL
    if index != vcpu.number:
        raise NotModelled(f"a line of vCPU {index} that is raised or lowered at another's turn")
    vcpu.cpu.raise_line(number, level)
    return 0


class _Trapped(vgic.VgicV3):
    """The CPU interface of a VM without a vGIC where KVM traps it: all but ICC_SRE_EL1."""

    def traps(self, encoding: vgic.Encoding, *, is_read: bool = False) -> bool:
        if encoding == sysregs.ICC_SRE_EL1:
            return False
        if is_read:
            return encoding in READS
        return encoding in WRITES or encoding in SGI_REGISTERS


def bare_interface(behaviour: Behaviour) -> vgic.Vgic:
    """The hardware's CPU interface in a VM without a vGIC."""
    kind = _Trapped if behaviour.icc_undefined_without_gic else vgic.VgicV3
    return kind(Gic(3, 0, 0), features(behaviour))


def features(behaviour: Behaviour) -> VgicFeatures:
    """What the rules say of the vGIC. The recorded VMM asked for 64 interrupts, as ours does."""
    revision = 3 if behaviour.vgic_revision_3 else 2 if behaviour.vgic_groups_writable else 0
    return VgicFeatures(
        implementation_revision=revision,
        groups_writable=behaviour.vgic_groups_writable,
        group0_sgi_registers=behaviour.vgic_groups_writable,
        level_active_and_pending=not behaviour.vgic_lr_state_separate,
        sgi_sources_together=not behaviour.vgic_sgi_sources_in_turn,
        sgi_active_source=behaviour.vgic_lr_state_separate,
        lr_overflow=behaviour.vgic_lr_overflow,
        traps_dir_with_spis=behaviour.vgic_lr_overflow,
        gicv_dir_page_trapped=behaviour.vgic_lr_overflow,
        redistributor_is_one_device=behaviour.vgic_redistributor_one_region,
        system_registers_trapped=behaviour.gicv3_trapped,
        wfi_heeds_priority=behaviour.vgic_wfi_heeds_priority,
    )

"""Joins a vGIC to the vCPU: its CPU interface to the hardware, its lines to userspace."""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENXIO
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated import vgic
from vcpu_scenario.machine.emulated.cpu.cpuif import CpuInterface
from vcpu_scenario.machine.emulated.cpu.gicport import GicPort
from vcpu_scenario.machine.emulated.cpu.icv import READS, SGI_REGISTERS, WRITES
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.vgic import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, NR_SGIS
from vcpu_scenario.machine.errors import NotModelled

NR_IRQS: Final = 64
"""What the recorded VMM asked for, as ours does."""
_OF_A_VGIC: Final = (abi.KVM_ARM_IRQ_TYPE_SPI, abi.KVM_ARM_IRQ_TYPE_PPI)


def connect(vcpu: Vcpu) -> None:
    """Gives the CPU the interface of the vCPU that is on it."""
    if vcpu.gic is None:
        return
    vcpu.cpu.gic = vcpu.gic
    if isinstance(vcpu.gic, vgic.VgicV2) and not vcpu.behaviour.gicv_trapped:
        vcpu.cpu.gicv = vcpu.gic


def irq_line(vcpu: Vcpu, irq: int, level: int) -> int:
    """``KVM_IRQ_LINE``: 0, or the negative errno.

    Without a vGIC only the CPU's own lines can be raised, ``KVM_ARM_IRQ_TYPE_CPU``, and only
    without one (``kvm_vm_ioctl_irq_line``, ``vcpu_interrupt_line``).
    """
    device = vcpu.vm.vgic
    if device is not None and vcpu.gic is None:
        if device.version == 3:
            kind = irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & 0xF
            # vgic_lazy_init: it is for a GICv2 alone.
            return -ENXIO if kind == abi.KVM_ARM_IRQ_TYPE_CPU else -EBUSY
        device.init()
    if vcpu.gic is not None:
        return line_of_vgic(vcpu.gic, irq, bool(level))
    kind = irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & 0xF
    if kind != abi.KVM_ARM_IRQ_TYPE_CPU:
        return -ENXIO if kind in _OF_A_VGIC else -EINVAL
    number, index = irq & 0xFFFF, irq >> 16 & 0xFF
    if index not in (one.number for one in vcpu.vm.vcpus) or number > 1:
        return -EINVAL
    if index != vcpu.number:
        raise NotModelled(f"a line of vCPU {index} that is raised or lowered at another's turn")
    vcpu.cpu.raised_is_seen = not vcpu.behaviour.pkvm_irq_lines_lost
    vcpu.cpu.raise_line(number, level)
    return 0


def line_of_vgic(gic: vgic.Vgic, irq: int, level: bool) -> int:
    """The same where the VM has one: ``irq`` holds vcpu2_index, type, vcpu_index and number."""
    kind = irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & (0xF if gic.features.irq_line_vcpu2 else 0xFF)
    vcpu, number = irq >> 16 & 0xFF, irq & 0xFFFF
    if gic.features.irq_line_vcpu2:
        vcpu += (irq >> 28 & 0xF) * 256
    if kind == abi.KVM_ARM_IRQ_TYPE_CPU:
        return -ENXIO
    interfaces = gic.distributor.interfaces
    if kind == abi.KVM_ARM_IRQ_TYPE_PPI and NR_SGIS <= number < NR_PRIVATE_IRQS:
        if any(one.index != one.number for one in interfaces):
            raise NotModelled("a PPI by KVM_IRQ_LINE where vCPUs were created out of order")
        return interfaces[vcpu].inject(number, level) if vcpu < len(interfaces) else -EINVAL
    if kind == abi.KVM_ARM_IRQ_TYPE_SPI and number >= NR_PRIVATE_IRQS:
        return gic.inject(number, level)
    return -EINVAL


class _Bare(vgic.VgicV3):
    """The hardware's CPU interface in a VM without a vGIC, of which KVM sets up no trap either
    (``vgic_hcr`` is 0) before ``icc_undefined_without_gic``.

    It is the host CPU's: nothing keeps the active priorities of one vCPU from the next. VMCR each
    vCPU has for itself, as hyp loads it at each entry (``vgic_sre`` is 0); with VHE nobody does.
    """

    def __init__(self, vcpu: Vcpu, before: CpuInterface | None) -> None:
        """``before`` is what the vCPU that was created before has."""
        super().__init__(None, replace(features(vcpu.behaviour), system_registers_trapped=False))
        self._vcpu: Final = vcpu
        self._vhe: Final = vcpu.model.armv8_2  # as these CPUs have here
        if before is not None and self._vhe:
            self.cpuif = before
        elif before is not None:
            self.cpuif.active_priorities = before.active_priorities

    def icc_write(self, encoding: vgic.Encoding, value: int) -> bool:
        self._vcpu.loads_vmcr = not self._vhe
        return super().icc_write(encoding, value)


class _Trapped(_Bare):
    """The same where KVM traps it: all but ICC_SRE_EL1."""

    def traps(self, encoding: vgic.Encoding, *, is_read: bool = False) -> bool:
        if encoding == sysregs.ICC_SRE_EL1:
            return False
        if is_read:
            return encoding in READS
        return encoding in WRITES or encoding in SGI_REGISTERS


def bare_interface(vcpu: Vcpu, before: GicPort | None) -> vgic.Vgic:
    """That of a vCPU that is created, of a VM that has no vGIC yet; ``before`` as the CPU had it
    for the vCPU before."""
    kind = _Trapped if vcpu.behaviour.icc_undefined_without_gic else _Bare
    return kind(vcpu, before.cpuif if isinstance(before, _Bare) else None)


def features(behaviour: Behaviour, nr_irqs: int = NR_IRQS) -> VgicFeatures:
    """What the rules say of the vGIC, of one with ``nr_irqs`` interrupts."""
    revision = 3 if behaviour.vgic_revision_3 else 2 if behaviour.vgic_groups_writable else 0
    return VgicFeatures(
        implementation_revision=revision,
        groups_writable=behaviour.vgic_groups_writable,
        pending_of_hardware=behaviour.vgic_pending_of_hardware,
        line_taken_on_enable=behaviour.timer_line_taken_on_enable,
        pending_told_to_user=behaviour.gicv2_pending_told_to_vmm,
        group0_sgi_registers=behaviour.vgic_groups_writable,
        level_active_and_pending=not behaviour.vgic_lr_state_separate,
        sgi_sources_together=not behaviour.vgic_sgi_sources_in_turn,
        sgi_active_source=behaviour.vgic_lr_state_separate,
        sgis_pend_as_others=not behaviour.gicv2_sgi_pending_ignored,
        lr_overflow=behaviour.vgic_lr_overflow,
        traps_dir_with_spis=behaviour.vgic_lr_overflow,
        gicv_dir_page_trapped=behaviour.vgic_lr_overflow,
        redistributor_is_one_device=behaviour.vgic_redistributor_one_region,
        system_registers_trapped=behaviour.gicv3_trapped,
        wfi_heeds_priority=behaviour.vgic_wfi_heeds_priority,
        revision_stays=behaviour.vgic_revision_stays,
        user_sees_last=behaviour.vgic_user_sees_last,
        typer2_is_settled=behaviour.vgic_typer2_settled,
        lpi_registers=behaviour.vgic_revision_3,
        lpis_by_number=behaviour.vgic_lpis_by_number,
        disabling_drops_pending=behaviour.vgic_lpis_dropped,
        movall_moves_every=behaviour.its_movall_moves_every,
        its_saves_what_it_can=behaviour.its_saves_what_it_can,
        its_caches_apart=behaviour.its_caches_apart,
        its_clears_entries=behaviour.its_clears_entries,
        its_tables_checked=behaviour.its_tables_checked,
        mapc_unmaps_any=behaviour.its_targets_by_number,
        its_control_checked=behaviour.its_control_checked,
        unknown_sysreg_is_enoent=behaviour.vgic_sysreg_enoent,
        saving_needs_init=behaviour.vgic_saving_needs_init,
        ends_checked=behaviour.vgic_ends_checked,
        second_redist_is_eexist=behaviour.vgic_second_redist_eexist,
        irq_line_vcpu2=behaviour.irq_line_vcpu2,
        pendbaser_52bit=behaviour.vgic_table_address_52bit,
        outer_cacheability_same_as_inner=behaviour.vgic_outer_same_as_inner,
        pendbaser_hides_ptz=behaviour.vgic_pending_table_zero_hidden,
        maintenance_ppi=behaviour.vgic_maintenance_ppi,
        nr_irqs=nr_irqs,
    )

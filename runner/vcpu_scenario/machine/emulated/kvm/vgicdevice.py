"""The vGIC of a VM as userspace sees it: ``KVM_CREATE_DEVICE``, its attributes, and what the first
``KVM_RUN`` makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from errno import E2BIG, EBUSY, EEXIST
from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.machine.emulated import vgic
from vcpu_scenario.machine.emulated.kvm.creation import VGIC_V2_MAX_CPUS
from vcpu_scenario.machine.emulated.kvm.idregs import identify
from vcpu_scenario.machine.emulated.kvm.interrupts import NR_IRQS, connect, features
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.vm import Vm, mpidr_of
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.devicev2 import DeviceV2
from vcpu_scenario.machine.emulated.vgic.devicev3 import DeviceV3
from vcpu_scenario.machine.emulated.vgic.irq import TIMER_PPIS
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported

Version: TypeAlias = Literal[2, 3]

_SET_UP_BY: Final = (
    attrs.KVM_DEV_ARM_VGIC_GRP_ADDR,
    attrs.KVM_DEV_ARM_VGIC_GRP_NR_IRQS,
    attrs.KVM_DEV_ARM_VGIC_GRP_CTRL,
)


class _Region:
    def __init__(self, gic: vgic.Vgic) -> None:
        self._gic = gic

    def read(self, ipa: int, length: int) -> int | None:
        return self._gic.mmio(ipa, length, False, 0)

    def write(self, ipa: int, length: int, value: int) -> bool:
        return self._gic.mmio(ipa, length, True, value) is not None


class _Banked:
    """A GICv2's distributor: each vCPU has its own registers of private interrupts there."""

    def __init__(self, vm: Vm[Vcpu]) -> None:
        self._vm = vm

    def read(self, ipa: int, length: int) -> int | None:
        gic = self._vm.on_cpu.gic
        return None if gic is None else gic.mmio(ipa, length, False, 0)

    def write(self, ipa: int, length: int, value: int) -> bool:
        gic = self._vm.on_cpu.gic
        return gic is not None and gic.mmio(ipa, length, True, value) is not None


def features_of(vcpu: Vcpu, nr_irqs: int = NR_IRQS) -> vgic.VgicFeatures:
    """Those of a vGIC with so many interrupts, in the VM's address space."""
    limit = vcpu.memslots.ipa_limit
    return replace(features(vcpu.behaviour, nr_irqs), ipa_limit=limit)


def create(vcpu: Vcpu, version: Version) -> None:
    """``kvm_vgic_create``. The host's GIC is of the version that is asked for first."""
    vm, what = vcpu.vm, f"vgic-v{version}"
    if vm.vgic is not None:
        if vm.vgic.version != version:
            raise Unsupported(f"this host's GIC cannot run a vGICv{version}")
        raise KvmError(EEXIST, what)
    if any(one.has_run for one in vm.vcpus):
        raise KvmError(EBUSY, what)

    def initialised() -> None:
        assert vm.vgic is not None
        for one, interface in zip(vm.vcpus, vm.vgic.interfaces, strict=True):
            one.gic, interface.affinity = interface, one.affinity
        if vm.itses:
            vm.itses[-1].join(vm.vgic.interfaces[0].distributor)
        connect(vm.on_cpu)
        identify(vm.on_cpu)

    kind = DeviceV2 if version == 2 else DeviceV3
    if version == 2 and len(vm.vcpus) > VGIC_V2_MAX_CPUS:
        raise KvmError(E2BIG, what)
    device = kind(
        lambda nr_irqs: features_of(vcpu, nr_irqs),
        lambda: [one.number for one in vm.vcpus],
        initialised,
    )
    device.ran = lambda number: vm.vcpus[number].has_run
    device.at = vm.place
    vm.vgic = device


class VgicAttributes:
    """``kvm_arm_vgic_v2_ops`` and ``kvm_arm_vgic_v3_ops``."""

    def __init__(self, vcpu: Vcpu, device: DeviceV2 | DeviceV3) -> None:
        self._vcpu: Final = vcpu
        self._device: Final = device

    def set(self, group: int, attr: int, value: int | None) -> None:
        self._check_known(group)
        try:
            self._device.set(group, attr, value)
        finally:
            if isinstance(self._device, DeviceV3):
                _register_redistributors(self._vcpu.vm, self._device)

    def get(self, group: int, attr: int, given: int) -> int:
        self._check_known(group)
        return self._device.get(group, attr, given)

    def has(self, group: int, attr: int) -> None:
        self._check_known(group)
        self._device.has(group, attr)

    def _check_known(self, group: int) -> None:
        """What a VMM reads and writes of a vGIC was never seen without groups of interrupts."""
        if group not in _SET_UP_BY and not self._vcpu.behaviour.vgic_groups_writable:
            what = "registers of a vGIC, by its attributes, without groups of interrupts"
            raise NotModelled(what)


def _register_redistributors(vm: Vm[Vcpu], device: DeviceV3) -> None:
    """Each is on the bus once it has its place, until a row that does not fit takes it off."""
    for number, gic in enumerate(device.interfaces):
        base = device.places.redistributor(number)
        if base is None:
            continue
        region = vm.redistributors.get(number)
        if region is None:
            gic.place(base)
            region = vm.redistributors[number] = _Region(gic)
            for start, size in gic.regions():
                vm.bus.register(start, size, region)
        if number in device.places.unregistered:
            vm.bus.unregister(region)


def first_run(vcpu: Vcpu) -> int:
    """``kvm_vgic_map_resources``: 0, or the negative errno with which ``KVM_RUN`` fails."""
    device = vcpu.vm.vgic
    if device is None:
        return 0
    if device.version == 3 and vcpu.mpidr != mpidr_of(vcpu.number):
        raise NotModelled(f"a GICv3 of a vCPU that is elsewhere (mpidr_el1 = {vcpu.mpidr:#x})")
    if not device.mapped:
        error = device.places.error() or _map(vcpu, device)
        if error:
            return error
        device.mapped = True
    assert vcpu.gic is not None
    # The CPUs with Armv8.2 have VHE here, where the guest has both timers of the hardware.
    ppis = vcpu.vm.timer_ppis[:2]
    tied = ppis if vcpu.model.armv8_2 else ppis[:1]
    driven = ppis if vcpu.behaviour.timer_lines_uncached else tied
    give_to_timers(vcpu.gic, driven, tied, ppis)
    return 0


def give_to_timers(
    gic: Interrupts,
    driven: Iterable[int],
    tied: Iterable[int],
    ppis: Iterable[int] = TIMER_PPIS,
) -> None:
    """``kvm_timer_enable``: from now on ``KVM_IRQ_LINE`` takes the timers' PPIs and does nothing.
    Of those that are ``driven`` the line is then what the timer makes it: low. Those that are
    ``tied`` to the hardware's timer are its direct ones."""
    for intid in driven:
        gic.inject(intid, False)
    for intid in tied:
        gic.irqs[intid].tied = True
    for intid in ppis:
        gic.irqs[intid].owned = True


def _map(vcpu: Vcpu, device: DeviceV2 | DeviceV3) -> int:
    vm, dist = vcpu.vm, device.places.dist
    assert dist is not None
    if isinstance(device, DeviceV3):
        if not device.interfaces:
            return -EBUSY
        first = device.interfaces[0]
        first.place_distributor(dist)
        vm.bus.register(dist, first.frames[0].size, _Region(first))
        return 0
    device.init()
    assert device.places.cpu is not None
    for gic in device.interfaces:
        gic.place(dist, device.places.cpu)
    for base, size in device.interfaces[0].regions():
        vm.bus.register(base, size, _Banked(vm))
    if not vcpu.behaviour.gicv_trapped:
        vcpu.cpu.stage2.note_mapping(*device.interfaces[0].mapped())
    return 0

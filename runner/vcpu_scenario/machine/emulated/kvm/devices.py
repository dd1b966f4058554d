"""``KVM_CREATE_DEVICE``, and the attributes of devices and of the vCPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBADF, ENODEV
from typing import Final, Protocol

from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.devices import CreateDevice
from vcpu_scenario.kernels.hosts import lacks_gic
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.kvm.attributes import said
from vcpu_scenario.machine.emulated.kvm import vgicdevice
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.vcpuattrs import VcpuAttributes
from vcpu_scenario.machine.emulated.kvm.vgicdevice import VgicAttributes
from vcpu_scenario.machine.emulated.kvm.vm import Vm
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported

_VFIO: Final = 4
_VERSIONS: Final[dict[int, vgicdevice.Version]] = {
    attrs.KVM_DEV_TYPE_ARM_VGIC_V2: 2,
    attrs.KVM_DEV_TYPE_ARM_VGIC_V3: 3,
}


class _Attributes(Protocol):
    """Those of ``struct kvm_device_ops``; each may raise :class:`Refused`."""

    def set(self, group: int, attr: int, value: int | None) -> None:
        """None where there is no address to read a value from."""

    def get(self, group: int, attr: int, given: int) -> int:
        """``given`` is in the place of the value."""

    def has(self, group: int, attr: int) -> None: ...


class Devices:
    """Those of one VM, under a kernel of that name."""

    def __init__(self, vm: Vm[Vcpu], kernel: str) -> None:
        self._vm: Final = vm
        self._kernel: Final = kernel

    def create(self, asked: CreateDevice) -> None:
        """``kvm_ioctl_create_device``."""
        vgic, version = self._vm.vgic, _VERSIONS.get(asked.type)
        if asked.type == _VFIO:
            raise NotModelled("a KVM device of type VFIO")
        if version is None and asked.type != attrs.KVM_DEV_TYPE_ARM_VGIC_ITS:
            raise KvmError(ENODEV, f"KVM_CREATE_DEVICE {asked.type}")
        if (3 if vgic is None else vgic.version) != (version or 3):  # the host's GIC is no such one
            raise KvmError(ENODEV, f"KVM_CREATE_DEVICE {asked.type}")
        if asked.test:
            return
        if version is not None:
            vgicdevice.create(self._vm.on_cpu, version)
            return
        from vcpu_scenario.machine.emulated.kvm import its

        its.create(self._vm.on_cpu)

    def create_vgic(self, version: vgicdevice.Version) -> None:
        name = self._kernel
        if "+" in name and (reason := lacks_gic(parse_release(name).host, version)):
            raise Unsupported(reason)
        vgicdevice.create(self._vm.on_cpu, version)

    def set(self, which: DeviceAttr, value: int | None) -> None:
        with self._asked(which) as attributes:
            attributes.set(which.group, which.attr, value)

    def get(self, which: DeviceAttr, given: int = 0) -> int:
        with self._asked(which) as attributes:
            return attributes.get(which.group, which.attr, given)

    def has(self, which: DeviceAttr) -> None:
        with self._asked(which) as attributes:
            attributes.has(which.group, which.attr)

    @contextmanager
    def _asked(self, which: DeviceAttr) -> Iterator[_Attributes]:
        """What is asked, whose refusals are KVM's."""
        found = self._attributes_of(which)
        if found is None:
            raise KvmError(EBADF, said(which))
        try:
            yield found
        except Refused as refusal:
            raise KvmError(refusal.errno, said(which)) from None

    def _attributes_of(self, which: DeviceAttr) -> _Attributes | None:
        """None where there is no such device."""
        vm = self._vm
        if which.of == "vcpu":
            return VcpuAttributes(vm.on_cpu)
        if which.of == "vgic":
            return None if vm.vgic is None else VgicAttributes(vm.on_cpu, vm.vgic)
        return vm.itses[which.number] if which.number < len(vm.itses) else None

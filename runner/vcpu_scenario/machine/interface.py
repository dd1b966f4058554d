"""The one interface that both machines implement: KVM's ioctls, as methods.

A machine is one VM. The VMM side (:mod:`vcpu_scenario.vmm`) drives it through this
protocol and through ``struct kvm_run`` and cannot tell which machine it drives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from vcpu_scenario.case import Ioeventfd, Memslot
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.devices import CreateDevice, Irqfd, SetGsiRouting, SignalMsi
from vcpu_scenario.ioctls.memory import Access, ClearDirtyLog, DiscardMemory, SetMemoryRegion
from vcpu_scenario.ioctls.vm import (
    Ask,
    EnableCap,
    GetRegWritableMasks,
    SetCounterOffset,
    SetSmcccFilter,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Inside


class Memory(Protocol):
    """The memslots, by their numbers, and the VMM's memory behind them."""

    def add(self, slot: Memslot) -> None:
        """A slot of the set-up: they have their numbers in the order they came, from 0."""

    def set_region(self, asked: SetMemoryRegion) -> None:
        """``KVM_SET_USER_MEMORY_REGION`` of a slot by its number."""

    def regions(self) -> tuple[SetMemoryRegion, ...]:
        """The slots that there are, as they were asked for last."""

    def set_access(self, number: int, access: Access) -> None:
        """Changes what the VMM's own mapping of a slot's memory lets through."""

    def discard(self, asked: DiscardMemory) -> None:
        """Drops what is in a slot's memory. :class:`Lacking` where there is no userfaultfd."""

    def userfaults(self, number: int) -> tuple[tuple[int, bool], ...]:
        """The pages that were put back as they were touched, since this was asked last, each with
        whether a write did it. :class:`KvmError` EBADF where the slot has no userfaultfd."""

    def dirty_log(self, number: int) -> tuple[int, ...]:
        """``KVM_GET_DIRTY_LOG``: the pages that were written, by their numbers in the slot."""

    def clear_dirty_log(self, asked: ClearDirtyLog) -> None: ...

    def write(self, ipa: int, data: bytes) -> None:
        """Writes guest memory through the VMM's own mapping, also into read-only slots."""

    def read(self, ipa: int, length: int) -> bytes: ...


class Ioeventfds(Protocol):
    """``KVM_IOEVENTFD``, and an eventfd for each."""

    def add(self, ioeventfd: Ioeventfd) -> None: ...

    def remove(self, ioeventfd: Ioeventfd) -> None: ...

    def counts(self) -> tuple[int, ...]:
        """How often each was signalled, in the order they were added."""

    def count(self, ioeventfd: Ioeventfd) -> int:
        """How often the last one that was added like this was signalled, or was until it was
        removed."""


class CoalescedZones(Protocol):
    """The zones whose writes KVM keeps in the coalesced MMIO ring."""

    def add(self, addr: int, size: int) -> None: ...

    def remove(self, addr: int, size: int) -> None: ...


class Irqfds(Protocol):
    """``KVM_IRQFD``, with the eventfds that the VMM has for each gsi."""

    def add(self, irqfd: Irqfd) -> None: ...

    def remove(self, gsi: int) -> None:
        """Takes the eventfd of ``gsi`` off."""

    def signal(self, gsi: int) -> None:
        """Writes to the eventfd of ``gsi``; its effect has come when this returns."""

    def resamples(self, gsi: int) -> int:
        """How often resampling has signalled the VMM for ``gsi`` since this was asked last.
        :class:`KvmError` EBADF where no irqfd of it was to be resampled."""

    def route(self, asked: SetGsiRouting) -> None:
        """``KVM_SET_GSI_ROUTING``."""


class Devices(Protocol):
    """Those of ``KVM_CREATE_DEVICE``, and their attributes, with those of the vCPU."""

    def create(self, asked: CreateDevice) -> None:
        """``KVM_CREATE_DEVICE`` by its type, or on trial."""

    def create_vgic(self, version: Literal[2, 3]) -> None:
        """``KVM_CREATE_DEVICE`` of a vGIC alone; :class:`Unsupported` where the host's GIC cannot
        serve that version."""

    def set(self, which: DeviceAttr, value: int | None) -> None:
        """``KVM_SET_DEVICE_ATTR``; the address of a value that is None is NULL."""

    def get(self, which: DeviceAttr, given: int = 0) -> int:
        """``KVM_GET_DEVICE_ATTR``; ``given`` is where the value will be."""

    def has(self, which: DeviceAttr) -> None:
        """``KVM_HAS_DEVICE_ATTR``."""


class Machine(Protocol):
    """One VM. Of several vCPUs one is selected. Every method may raise :class:`KvmError`, and on
    the emulated machine :class:`NotModelled`."""

    @property
    def run(self) -> abi.kvm_run:
        """The page shared with ``KVM_RUN``."""

    @property
    def ring(self) -> abi.kvm_coalesced_mmio_ring:
        """The coalesced MMIO ring."""

    @property
    def memory(self) -> Memory: ...

    @property
    def ioeventfds(self) -> Ioeventfds: ...

    @property
    def zones(self) -> CoalescedZones: ...

    @property
    def irqfds(self) -> Irqfds: ...

    @property
    def devices(self) -> Devices: ...

    def enable_cap(self, cap: str) -> None:
        """``KVM_ENABLE_CAP`` on the VM, by the capability's name in lower case without
        ``kvm_cap_``: ``arm_nisv_to_user``, ``arm_system_suspend``."""

    def set_smccc_filter(self, asked: SetSmcccFilter) -> None:
        """:class:`Unsupported` where the kernel has no such filter."""

    def set_steal_time(self, addr: int) -> None:
        """``KVM_ARM_VCPU_PVTIME_IPA``; :class:`Unsupported` where the kernel has none."""

    def ask_cap(self, asked: EnableCap) -> None:
        """``KVM_ENABLE_CAP`` of a capability by its number."""

    def try_vm(self, type_: int) -> None:
        """``KVM_CREATE_VM`` of another VM, which is closed at once."""

    def add_vcpu(self, number: int) -> None:
        """``KVM_CREATE_VCPU`` of a further one, which is not initialised."""

    def create_irqchip(self) -> None:
        """``KVM_CREATE_IRQCHIP``."""

    def set_counter_offset(self, asked: SetCounterOffset) -> None:
        """:class:`Lacking` where the kernel has no KVM_ARM_SET_COUNTER_OFFSET."""

    def reg_writable_masks(self, asked: GetRegWritableMasks) -> Mapping[int, int]:
        """Those that are not 0, by the register's id. :class:`Lacking` where the kernel has no
        KVM_ARM_GET_REG_WRITABLE_MASKS."""

    def create_vcpus(self, count: int) -> None:
        """``KVM_CREATE_VCPU`` for all but the first, up to ``count``; before any is initialised."""

    def select(self, vcpu: int) -> None:
        """The vCPU, by its number, that all is about from now on, :attr:`run` with it."""

    def vcpu_init(self, features: Sequence[str], target: int | None = None, bits: int = 0) -> None:
        """``KVM_ARM_VCPU_INIT`` with ``features``, by the names of
        :mod:`~vcpu_scenario.kvm.features`, and further ``bits``; ``target`` is None for the host's
        preferred one. Once more it resets the vCPU."""

    @property
    def features(self) -> tuple[str, ...]:
        """What the first ``KVM_ARM_VCPU_INIT`` of the vCPU asked for."""

    def mp_state(self) -> int:
        """``KVM_GET_MP_STATE``."""

    def ask(self, asked: Ask) -> int:
        """An ioctl of :data:`~vcpu_scenario.kvm.plainioctls.REQUESTS`: what it returns, or the
        structure that it fills as a little-endian number."""

    def get_one_reg(self, reg_id: int) -> int: ...

    def get_regs(self, reg_ids: Sequence[int]) -> list[int]:
        """``KVM_GET_ONE_REG`` of each."""

    def set_one_reg(self, reg_id: int, value: int) -> None: ...

    def reg_list(self) -> tuple[int, ...]:
        """``KVM_GET_REG_LIST``: the ids of the vCPU's registers, in the kernel's order."""

    def set_guest_debug(self, debug: abi.kvm_guest_debug) -> None: ...

    def irq_line(self, irq: int, level: int) -> None: ...

    def signal_msi(self, asked: SignalMsi) -> bool:
        """``KVM_SIGNAL_MSI``: whether it was delivered, not blocked by the guest."""

    def set_vcpu_events(self, events: abi.kvm_vcpu_events) -> None: ...

    def get_vcpu_events(self) -> abi.kvm_vcpu_events | None:
        """``KVM_GET_VCPU_EVENTS``; None where the kernel has none (``KVM_CAP_VCPU_EVENTS``)."""

    def set_mp_state(self, state: int) -> None: ...

    def sibling(self) -> Machine:
        """A new VM of the same kernel on the same CPU, which the caller closes before this one."""

    def pend_signal(self) -> None:
        """A signal is pending when the next run starts, which lets it through
        (``KVM_SET_SIGNAL_MASK``)."""

    def host_interrupt(self) -> None:
        """A host interrupt arrives between two entries of the next run, where that can be
        asked for; else :class:`Unsupported`."""

    def kvm_run(self, *, instructions: int, seconds: float, turn: float | None = None) -> int:
        """``ioctl(KVM_RUN)``: 0, or the negative errno. Bounded: by ``instructions`` on the
        emulated machine, by a signal after ``seconds`` on a real one; both give ``-EINTR``. In
        the turn of one of several vCPUs the emulated machine waits for at most the seconds of a
        real ``turn``."""

    @property
    def counts_instructions(self) -> bool:
        """Which of the two bounds a run."""

    @property
    def inside(self) -> Inside | None:
        """What is known of the last ``KVM_RUN`` beyond what a VMM can read; None on a real
        machine."""

    def close(self) -> None: ...

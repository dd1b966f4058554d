"""The one interface that both machines implement: KVM's ioctls, as methods.

A machine is one VM. The VMM side (:mod:`vcpu_scenario.vmm`) drives it through this
protocol and through ``struct kvm_run`` and cannot tell which machine it drives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from vcpu_scenario.case import Gic, Ioeventfd, Memslot
from vcpu_scenario.ioctls import (
    Access,
    ClearDirtyLog,
    CreateDevice,
    DiscardMemory,
    EnableCap,
    GetRegWritableMasks,
    Irqfd,
    SetCounterOffset,
    SetMemoryRegion,
    SetSmcccFilter,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Inside


class KvmError(Exception):
    """The kernel refused an ioctl: ``errno`` and what was asked of it."""

    def __init__(self, errno: int, what: str) -> None:
        super().__init__(errno, what)
        self.errno = errno
        self.what = what


def enabling(cap: str) -> str:
    """:attr:`KvmError.what` where ``KVM_ENABLE_CAP`` is refused; a trace's ``error`` begins so."""
    return f"cap {cap}"


def initialising(features: Sequence[str], target: int | None = None, bits: int = 0) -> str:
    """:attr:`KvmError.what` where ``KVM_ARM_VCPU_INIT`` is refused."""
    words = [*features]
    if bits:
        words.append(f"features {bits:#x}")
    if target is not None:
        words.append(f"target {target}")
    return " ".join(("KVM_ARM_VCPU_INIT", *words))


def is_of_enabling(error: str) -> bool:
    """Whether a trace's ``error`` says that ``KVM_ENABLE_CAP`` was refused."""
    return error.startswith(enabling(""))


class NotRefused(Exception):
    """The kernel did ``what`` it was expected to refuse, or refused it in another way."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Unexpected(Exception):
    """The kernel answered an ioctl with something else than was expected of it: ``what`` says
    the ioctl, the expectation and the answer."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Unsupported(Exception):
    """This machine cannot do what the case asks (not: the kernel refused it). A skip."""


class Lacking(Unsupported):
    """The kernel does not have what an ioctl asks for, and refuses it with ``errno``: a skip that
    says so, but for whoever expects the refusal."""

    def __init__(self, errno: int, what: str) -> None:
        super().__init__(f"this kernel has no {what}")
        self.errno = errno
        self.what = what


class NotModelled(Exception):
    """The emulated machine comes to what it does not model: ``what`` names it, with its value.

    The run ends there with a verdict of its own. Not: the kernel refused it; not: no such machine
    can do it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"not modelled: {self.what}"


class Machine(Protocol):
    """One VM. Of several vCPUs one is selected. Every method may raise :class:`KvmError`, and on
    the emulated machine :class:`NotModelled`."""

    @property
    def run(self) -> abi.kvm_run:
        """The page shared with ``KVM_RUN``."""
        ...

    @property
    def ring(self) -> abi.kvm_coalesced_mmio_ring:
        """The coalesced MMIO ring."""
        ...

    def enable_cap(self, cap: str) -> None:
        """``KVM_ENABLE_CAP`` on the VM, by the capability's name in lower case without
        ``kvm_cap_``: ``arm_nisv_to_user``, ``arm_system_suspend``."""
        ...

    def set_user_memory_region(self, slot: Memslot) -> None: ...

    def set_memory_region(self, asked: SetMemoryRegion) -> None:
        """``KVM_SET_USER_MEMORY_REGION`` of a slot by its number. Those of
        :meth:`set_user_memory_region` have theirs in the order they came, from 0."""
        ...

    def set_host_mapping(self, slot: int, access: Access) -> None:
        """Changes what the VMM's own mapping of a slot's memory lets through."""
        ...

    def discard_memory(self, asked: DiscardMemory) -> None:
        """Drops what is in a slot's memory. :class:`Lacking` where there is no userfaultfd."""
        ...

    def userfaults(self, slot: int) -> tuple[tuple[int, bool], ...]:
        """The pages that were put back as they were touched, since this was asked last, each with
        whether a write did it."""
        ...

    def get_dirty_log(self, slot: int) -> tuple[int, ...]:
        """``KVM_GET_DIRTY_LOG``: the pages that were written, by their numbers in the slot."""
        ...

    def clear_dirty_log(self, asked: ClearDirtyLog) -> None: ...

    def remove_ioeventfd(self, ioeventfd: Ioeventfd) -> None: ...

    def remove_coalesced_zone(self, addr: int, size: int) -> None: ...

    def set_smccc_filter(self, asked: SetSmcccFilter) -> None:
        """:class:`Unsupported` where the kernel has no such filter."""
        ...

    def set_steal_time(self, addr: int) -> None:
        """``KVM_ARM_VCPU_PVTIME_IPA``; :class:`Unsupported` where the kernel has none."""
        ...

    def create_gic(self, gic: Gic) -> None:
        """``KVM_CREATE_DEVICE`` of a vGIC, its addresses and its initialisation."""
        ...

    def create_vgic(self, version: Literal[2, 3]) -> None:
        """``KVM_CREATE_DEVICE`` of a vGIC alone; :class:`Unsupported` where the host's GIC cannot
        serve that version."""
        ...

    def set_vgic_attr(self, group: int, attr: int, value: int | None) -> None:
        """``KVM_SET_DEVICE_ATTR`` of the vGIC; the address of a value that is None is NULL."""
        ...

    def get_vgic_attr(self, group: int, attr: int, given: int = 0) -> int:
        """``KVM_GET_DEVICE_ATTR`` of the vGIC; ``given`` is where the value will be."""
        ...

    def has_vgic_attr(self, group: int, attr: int) -> None:
        """``KVM_HAS_DEVICE_ATTR`` of the vGIC."""
        ...

    def set_vcpu_attr(self, group: int, attr: int, value: int | None) -> None:
        """``KVM_SET_DEVICE_ATTR`` of the vCPU; the address of a value that is None is NULL."""
        ...

    def get_vcpu_attr(self, group: int, attr: int) -> int:
        """``KVM_GET_DEVICE_ATTR`` of the vCPU."""
        ...

    def has_vcpu_attr(self, group: int, attr: int) -> None:
        """``KVM_HAS_DEVICE_ATTR`` of the vCPU."""
        ...

    def create_device(self, asked: CreateDevice) -> None:
        """``KVM_CREATE_DEVICE`` by its type, or on trial."""
        ...

    def set_its_attr(self, group: int, attr: int, value: int | None) -> None:
        """``KVM_SET_DEVICE_ATTR`` of the ITS; the address of a value that is None is NULL."""
        ...

    def set_gsi_routing(self, routes: Sequence[tuple[int, int]]) -> None:
        """``KVM_SET_GSI_ROUTING``: (gsi, pin of the vGIC) for each."""
        ...

    def add_irqfd(self, irqfd: Irqfd) -> None:
        """``KVM_IRQFD``, with the eventfd that the VMM has for its gsi."""
        ...

    def remove_irqfd(self, gsi: int) -> None:
        """``KVM_IRQFD`` that takes the eventfd of ``gsi`` off."""
        ...

    def signal_irqfd(self, gsi: int) -> None:
        """Writes to the eventfd of ``gsi``; its effect has come when this returns."""
        ...

    def resamples(self, gsi: int) -> int:
        """How often resampling has signalled the VMM for ``gsi`` since this was asked last."""
        ...

    def ask_cap(self, asked: EnableCap) -> None:
        """``KVM_ENABLE_CAP`` of a capability by its number."""
        ...

    def try_vm(self, type_: int) -> None:
        """``KVM_CREATE_VM`` of another VM, which is closed at once."""
        ...

    def add_vcpu(self, number: int) -> None:
        """``KVM_CREATE_VCPU`` of a further one, which is not initialised."""
        ...

    def create_irqchip(self) -> None:
        """``KVM_CREATE_IRQCHIP``."""
        ...

    def set_counter_offset(self, asked: SetCounterOffset) -> None:
        """:class:`Lacking` where the kernel has no KVM_ARM_SET_COUNTER_OFFSET."""
        ...

    def reg_writable_masks(self, asked: GetRegWritableMasks) -> Mapping[int, int]:
        """Those that are not 0, by the register's id. :class:`Lacking` where the kernel has no
        KVM_ARM_GET_REG_WRITABLE_MASKS."""
        ...

    def create_vcpus(self, count: int) -> None:
        """``KVM_CREATE_VCPU`` for all but the first, up to ``count``; before any is initialised."""
        ...

    def select(self, vcpu: int) -> None:
        """The vCPU, by its number, that all is about from now on, :attr:`run` with it."""
        ...

    def vcpu_init(self, features: Sequence[str], target: int | None = None, bits: int = 0) -> None:
        """``KVM_ARM_VCPU_INIT`` with ``features``, by the names of
        :mod:`~vcpu_scenario.kvm.features`, and further ``bits``; ``target`` is None for the host's
        preferred one. Once more it resets the vCPU."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """What the first ``KVM_ARM_VCPU_INIT`` of the vCPU asked for."""
        ...

    def mp_state(self) -> int:
        """``KVM_GET_MP_STATE``."""
        ...

    def add_ioeventfd(self, ioeventfd: Ioeventfd) -> None: ...

    def add_coalesced_zone(self, addr: int, size: int) -> None: ...

    def eventfd_counts(self) -> tuple[int, ...]:
        """How often each ioeventfd was signalled, in the order they were added."""
        ...

    def write_memory(self, ipa: int, data: bytes) -> None:
        """Write guest memory through the VMM's own mapping, also into read-only slots."""
        ...

    def read_memory(self, ipa: int, length: int) -> bytes: ...

    def get_one_reg(self, reg_id: int) -> int: ...

    def get_regs(self, reg_ids: Sequence[int]) -> list[int]:
        """``KVM_GET_ONE_REG`` of each."""
        ...

    def set_one_reg(self, reg_id: int, value: int) -> None: ...

    def reg_list(self) -> tuple[int, ...]:
        """``KVM_GET_REG_LIST``: the ids of the vCPU's registers, in the kernel's order."""
        ...

    def set_guest_debug(self, debug: abi.kvm_guest_debug) -> None: ...

    def irq_line(self, irq: int, level: int) -> None: ...

    def set_vcpu_events(self, events: abi.kvm_vcpu_events) -> None: ...

    def get_vcpu_events(self) -> abi.kvm_vcpu_events | None:
        """``KVM_GET_VCPU_EVENTS``; None where the kernel has none (``KVM_CAP_VCPU_EVENTS``)."""
        ...

    def set_mp_state(self, state: int) -> None: ...

    def memory_regions(self) -> tuple[SetMemoryRegion, ...]:
        """The memory slots that there are, as they were asked for last."""
        ...

    def sibling(self) -> Machine:
        """A new VM of the same kernel on the same CPU, which the caller closes before this one."""
        ...

    def pend_signal(self) -> None:
        """A signal is pending when the next run starts, which lets it through
        (``KVM_SET_SIGNAL_MASK``)."""
        ...

    def host_interrupt(self) -> None:
        """A host interrupt arrives between two entries of the next run, where that can be
        asked for; else :class:`Unsupported`."""
        ...

    def kvm_run(self, *, instructions: int, seconds: float) -> int:
        """``ioctl(KVM_RUN)``: 0, or the negative errno. Bounded: by ``instructions`` on the
        emulated machine, by a signal after ``seconds`` on a real one; both give ``-EINTR``."""
        ...

    @property
    def counts_instructions(self) -> bool:
        """Which of the two bounds a run."""
        ...

    @property
    def inside(self) -> Inside | None:
        """What is known of the last ``KVM_RUN`` beyond what a VMM can read; None on a real
        machine."""
        ...

    def close(self) -> None: ...

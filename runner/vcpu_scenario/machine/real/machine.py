"""One VM on ``/dev/kvm``: the ``Machine`` protocol as ioctls.

Needs an arm64 Linux host and the standard library alone. Every refusal of the kernel is a
:class:`~vcpu_scenario.machine.errors.KvmError` whose ``what`` reads ``cap nisv: Invalid
argument``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Mapping, Sequence
from functools import cached_property

from vcpu_scenario.ioctls.devices import SignalMsi
from vcpu_scenario.ioctls.vm import (
    Ask,
    EnableCap,
    GetRegWritableMasks,
    SetCounterOffset,
    SetSmcccFilter,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.features import NEEDS, bits_of
from vcpu_scenario.kvm.plainioctls import REQUESTS
from vcpu_scenario.kvm.registers import KVM_REGISTERS_MOST, said, size_of
from vcpu_scenario.machine.errors import KvmError, Unsupported, initialising
from vcpu_scenario.machine.real import (
    alarms,
    attributes,
    capabilities,
    onereg,
    opening,
    regmasks,
    signals,
    uapi,
)
from vcpu_scenario.machine.real.devices import Devices
from vcpu_scenario.machine.real.ioctls import ask, call
from vcpu_scenario.machine.real.ioeventfds import Ioeventfds
from vcpu_scenario.machine.real.irqfds import Irqfds
from vcpu_scenario.machine.real.memory import GuestMemory
from vcpu_scenario.machine.real.zones import CoalescedZones


class RealMachine:
    """A new VM; raises ``errors.NoKvmError`` where the host cannot have one.

    ``kvm_run`` bounds a run with ``SIGALRM``, so a machine is driven from the main thread; the
    signal's handler is put back by :meth:`close`. Use as a context manager or call ``close``.
    """

    def __init__(self, device: str = "/dev/kvm") -> None:
        self._device = device
        self._resources = contextlib.ExitStack()
        with self._resources:
            kvm = self._kvm = self._keep_fd(opening.open_kvm(device))
            opening.check_api(kvm, device)
            self._vm = self._keep_fd(opening.create_vm(kvm))
            self._size = call(kvm, uapi.KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE")
            self._resources = self._resources.pop_all()
        self._selected = 0
        self.memory = GuestMemory(self._vm)
        self.ioeventfds = Ioeventfds(self._vm, self._resources)
        self.zones = CoalescedZones(self._vm)
        self.irqfds = Irqfds(self._vm, self._resources)
        self.devices = Devices(self._vm, lambda: self._vcpu, self._resources)
        self._features: dict[int, tuple[str, ...]] = {}
        self._signal_pending = False
        self._resources.enter_context(alarms.caught())

    @cached_property
    def _vcpus(self) -> dict[int, tuple[int, abi.kvm_run]]:
        """By number their files, and what they share. The first is made when it is needed: some
        capabilities can only be enabled before."""
        vcpu, shared = self._create_vcpu(0)
        ring_at = abi.COALESCED_RING_PAGE * mmap.PAGESIZE
        self._ring = abi.kvm_coalesced_mmio_ring.from_buffer(shared, ring_at)
        return {0: (vcpu, abi.kvm_run.from_buffer(shared))}

    def _with_a_vcpu(self) -> int:
        """The VM's file, once a vCPU is there."""
        assert self._vcpus
        return self._vm

    @property
    def _vcpu(self) -> int:
        return self._vcpus[self._selected][0]

    def _create_vcpu(self, number: int) -> tuple[int, mmap.mmap]:
        what = f"KVM_CREATE_VCPU {number}"
        vcpu = self._keep_fd(call(self._vm, uapi.KVM_CREATE_VCPU, number, what))
        return vcpu, mmap.mmap(vcpu, self._size, flags=mmap.MAP_SHARED)

    def _keep_fd(self, fd: int) -> int:
        self._resources.callback(os.close, fd)
        return fd

    def __enter__(self) -> RealMachine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def run(self) -> abi.kvm_run:
        return self._vcpus[self._selected][1]

    @property
    def ring(self) -> abi.kvm_coalesced_mmio_ring:
        self._with_a_vcpu()
        return self._ring

    def enable_cap(self, cap: str) -> None:
        capabilities.enable(self._vm, cap)

    def ask_cap(self, asked: EnableCap) -> None:
        capabilities.ask_for(self._with_a_vcpu(), asked)

    def try_vm(self, type_: int) -> None:
        os.close(call(self._kvm, uapi.KVM_CREATE_VM, type_, f"KVM_CREATE_VM {type_:#x}"))

    def add_vcpu(self, number: int) -> None:
        vcpus = self._vcpus
        vcpu, shared = self._create_vcpu(number)
        vcpus[number] = vcpu, abi.kvm_run.from_buffer(shared)

    def create_irqchip(self) -> None:
        call(self._with_a_vcpu(), uapi.KVM_CREATE_IRQCHIP, 0, "KVM_CREATE_IRQCHIP")

    def set_counter_offset(self, asked: SetCounterOffset) -> None:
        what = "KVM_ARM_SET_COUNTER_OFFSET"
        request = uapi.kvm_arm_counter_offset(counter_offset=asked.offset, reserved=asked.reserved)
        with capabilities.needed(self._vm, {what: uapi.KVM_CAP_COUNTER_OFFSET}):
            call(self._vm, uapi.KVM_ARM_SET_COUNTER_OFFSET, request, what)

    def reg_writable_masks(self, asked: GetRegWritableMasks) -> Mapping[int, int]:
        return regmasks.writable_masks(self._with_a_vcpu(), asked)

    def set_smccc_filter(self, asked: SetSmcccFilter) -> None:
        filter_ = uapi.kvm_smccc_filter(
            base=asked.base, nr_functions=asked.count, action=asked.action
        )
        ctypes.memset(ctypes.addressof(filter_) + uapi.kvm_smccc_filter.pad.offset, asked.pad, 15)
        group, attr = uapi.KVM_ARM_VM_SMCCC_CTRL, uapi.KVM_ARM_VM_SMCCC_FILTER
        attributes.set_known(self._vm, group, attr, filter_, "KVM_ARM_VM_SMCCC_FILTER")

    def set_steal_time(self, addr: int) -> None:
        group, attr = uapi.KVM_ARM_VCPU_PVTIME_CTRL, uapi.KVM_ARM_VCPU_PVTIME_IPA
        value = ctypes.c_uint64(addr)
        attributes.set_known(self._vcpu, group, attr, value, "KVM_ARM_VCPU_PVTIME_IPA")

    def create_vcpus(self, count: int) -> None:
        for number in range(1, count):
            self.add_vcpu(number)

    def select(self, vcpu: int) -> None:
        if vcpu not in self._vcpus:
            raise KvmError(errno.EBADF, f"vCPU {vcpu}")
        self._selected = vcpu

    def vcpu_init(self, features: Sequence[str], target: int | None = None, bits: int = 0) -> None:
        init = uapi.kvm_vcpu_init()
        call(self._vm, uapi.KVM_ARM_PREFERRED_TARGET, init, "KVM_ARM_PREFERRED_TARGET")
        if target is not None:
            init.target = target
        bits |= bits_of(features)
        init.features[:] = [bits >> 32 * n & 0xFFFF_FFFF for n in range(len(init.features))]
        what = initialising(features, target, bits)
        with capabilities.needed(self._vm, dict(NEEDS[one] for one in features if one in NEEDS)):
            call(self._vcpu, uapi.KVM_ARM_VCPU_INIT, init, what)
        self._features.setdefault(self._vcpu, tuple(features))

    @property
    def features(self) -> tuple[str, ...]:
        return self._features.get(self._vcpu) or next(iter(self._features.values()), ())

    def ask(self, asked: Ask) -> int:
        request = REQUESTS[asked.request]
        file = asked.file or request.file
        fd = self._vcpu if file == "vcpu" else self._kvm if file == "system" else self._vm
        return ask(fd, request, asked.arg, asked.request)

    def get_one_reg(self, reg_id: int) -> int:
        return onereg.get(self._vcpu, (reg_id,))[0]

    def get_regs(self, reg_ids: Sequence[int]) -> list[int]:
        return onereg.get(self._vcpu, reg_ids)

    def set_one_reg(self, reg_id: int, value: int) -> None:
        size = size_of(reg_id)
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        stored = (ctypes.c_uint8 * size).from_buffer_copy(data)
        request = uapi.kvm_one_reg(id=reg_id, addr=ctypes.addressof(stored))
        call(self._vcpu, uapi.KVM_SET_ONE_REG, request, f"KVM_SET_ONE_REG {said(reg_id)}")

    def reg_list(self) -> tuple[int, ...]:
        room = KVM_REGISTERS_MOST
        listed = (ctypes.c_uint64 * (1 + room))(room)
        call(self._vcpu, uapi.KVM_GET_REG_LIST, listed, "KVM_GET_REG_LIST")
        return tuple(listed[1 : 1 + listed[0]])

    def set_guest_debug(self, debug: abi.kvm_guest_debug) -> None:
        call(self._vcpu, uapi.KVM_SET_GUEST_DEBUG, debug, "KVM_SET_GUEST_DEBUG")

    def irq_line(self, irq: int, level: int) -> None:
        request = uapi.kvm_irq_level(irq=irq, level=level)
        call(self._vm, uapi.KVM_IRQ_LINE, request, "KVM_IRQ_LINE")

    def signal_msi(self, asked: SignalMsi) -> bool:
        request = uapi.kvm_msi(
            address_lo=asked.address & 0xFFFF_FFFF,
            address_hi=asked.address >> 32,
            data=asked.data,
            flags=0 if asked.device is None else uapi.KVM_MSI_VALID_DEVID,
            devid=asked.device or 0,
        )
        return call(self._vm, uapi.KVM_SIGNAL_MSI, request, "KVM_SIGNAL_MSI") > 0

    def set_vcpu_events(self, events: abi.kvm_vcpu_events) -> None:
        call(self._vcpu, uapi.KVM_SET_VCPU_EVENTS, events, "KVM_SET_VCPU_EVENTS")

    def get_vcpu_events(self) -> abi.kvm_vcpu_events | None:
        if not capabilities.has(self._vm, uapi.KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"):
            return None
        events = abi.kvm_vcpu_events()
        call(self._vcpu, uapi.KVM_GET_VCPU_EVENTS, events, "KVM_GET_VCPU_EVENTS")
        return events

    def set_mp_state(self, state: int) -> None:
        request = uapi.kvm_mp_state(mp_state=state)
        call(self._vcpu, uapi.KVM_SET_MP_STATE, request, "KVM_SET_MP_STATE")

    def mp_state(self) -> int:
        state = uapi.kvm_mp_state()
        call(self._vcpu, uapi.KVM_GET_MP_STATE, state, "KVM_GET_MP_STATE")
        return int(state.mp_state)

    def pend_signal(self) -> None:
        signals.pend(self._vcpu)
        self._signal_pending = True

    def host_interrupt(self) -> None:
        raise Unsupported("real KVM takes host interrupts when they come, not on request")

    def kvm_run(self, *, instructions: int, seconds: float, turn: float | None = None) -> int:
        """``ioctl(KVM_RUN)``. Real time bounds it; the others are for the other machine."""
        with alarms.after(seconds):
            try:
                return fcntl.ioctl(self._vcpu, uapi.KVM_RUN, 0)
            except OSError as error:
                return -(error.errno or errno.EIO)
            finally:
                if self._signal_pending:
                    signals.take(self._vcpu)
                    self._signal_pending = False

    def sibling(self) -> RealMachine:
        return RealMachine(self._device)

    @property
    def counts_instructions(self) -> bool:
        return False

    @property
    def inside(self) -> None:
        """Nothing: only exits say what the guest did."""
        return None

    def close(self) -> None:
        """Ends the VM. Guest memory and the shared page go with the last use of them."""
        self.memory.restore()
        self._resources.close()

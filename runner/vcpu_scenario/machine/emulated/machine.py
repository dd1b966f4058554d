"""The emulated machine: KVM's ioctls on an emulated vCPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from errno import EBADF, EINVAL
from functools import lru_cache
from typing import Final

from vcpu_scenario.ioctls.devices import SignalMsi
from vcpu_scenario.ioctls.vm import (
    Ask,
    EnableCap,
    GetRegWritableMasks,
    SetCounterOffset,
    SetSmcccFilter,
)
from vcpu_scenario.kernels.hosts import ranges_of_host
from vcpu_scenario.kernels.release import parse_range, parse_release
from vcpu_scenario.kernels.table import Kernel, kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import said, size_of
from vcpu_scenario.machine.emulated.cpu import pool
from vcpu_scenario.machine.emulated.cpu.gicport import GicPort
from vcpu_scenario.machine.emulated.cpu.regfile import DAIF, EL1H
from vcpu_scenario.machine.emulated.cpu.timers import Timers
from vcpu_scenario.machine.emulated.kvm import (
    creation,
    extensions,
    guestdebug,
    questions,
    regmasks,
    smcccfilter,
    stealtime,
)
from vcpu_scenario.machine.emulated.kvm.access import Access
from vcpu_scenario.machine.emulated.kvm.coreregs import at_once
from vcpu_scenario.machine.emulated.kvm.devices import Devices
from vcpu_scenario.machine.emulated.kvm.events import get_vcpu_events, set_vcpu_events
from vcpu_scenario.machine.emulated.kvm.firstrun import first_run
from vcpu_scenario.machine.emulated.kvm.idregs import identify
from vcpu_scenario.machine.emulated.kvm.interrupts import bare_interface, connect, irq_line
from vcpu_scenario.machine.emulated.kvm.ioeventfds import Ioeventfds
from vcpu_scenario.machine.emulated.kvm.irqfds import Irqfds
from vcpu_scenario.machine.emulated.kvm.mpstate import set_mp_state
from vcpu_scenario.machine.emulated.kvm.regids import DEAD, UNINITIALISED, unknown
from vcpu_scenario.machine.emulated.kvm.registers import registers_of, reset_unloaded
from vcpu_scenario.machine.emulated.kvm.reglist import listed
from vcpu_scenario.machine.emulated.kvm.reset import vcpu_init
from vcpu_scenario.machine.emulated.kvm.slots import Memslots
from vcpu_scenario.machine.emulated.kvm.sysregs import reset_system_registers
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu
from vcpu_scenario.machine.emulated.kvm.zones import CoalescedZones
from vcpu_scenario.machine.emulated.seats import Seats
from vcpu_scenario.machine.emulated.vcpurun import VcpuRun
from vcpu_scenario.machine.errors import KvmError, NotModelled, NotSeenThere, enabling
from vcpu_scenario.trace import Inside

_GET: Final = "KVM_GET_ONE_REG"
_SET: Final = "KVM_SET_ONE_REG"


class EmulatedMachine:
    """One VM, as KVM of ``kernel`` would run it. Raises
    :class:`~vcpu_scenario.machine.errors.NotSeenThere` for one that was never seen on its host."""

    def __init__(self, kernel: Kernel) -> None:
        _check_seen(kernel.name)
        self.kernel = kernel
        self._cpu = pool.take(kernel.cpu)
        self._vcpu = Vcpu(self._cpu, abi.kvm_run(), kernel.behaviour, kernel.cpu)
        self._on_cpu = VcpuRun(self._vcpu)
        self._seats: Seats | None = None
        self._tables: dict[int, Mapping[int, Access]] = {}
        """By the vCPU's number its registers, once it is initialised."""
        self._registers: Mapping[int, Access] = UNINITIALISED
        bus, filled = self._vcpu.bus, kernel.behaviour.coalesced_ring_filled
        self.ioeventfds = Ioeventfds(bus)
        self.zones = CoalescedZones(bus, self._vcpu.ring, filled=filled)
        self.irqfds = Irqfds(self._vcpu)
        self.devices = Devices(self._vcpu.vm, kernel.name)
        self._features: dict[int, tuple[str, ...]] = {}
        self._power_on()

    def _power_on(self, before: GicPort | None = None) -> None:
        """``KVM_CREATE_VCPU`` of the vCPU that is on the CPU. ``before`` is the interface that it
        had for another one."""
        self._cpu.timers.first_used = self._vcpu.use_timers
        reset_system_registers(self._vcpu)
        reset_unloaded(self._vcpu)
        self._cpu.gic = bare_interface(self._vcpu, before)
        self._cpu.pstate = DAIF | EL1H
        identify(self._vcpu)

    def create_vcpus(self, count: int) -> None:
        for number in range(1, count):
            self.add_vcpu(number)

    def add_vcpu(self, number: int) -> None:
        was, clock, before = self._vcpu, self._cpu.timers.clock, self._cpu.gic
        creation.check_vcpu(was, number)
        self._seats = self._seats or Seats(self._cpu, self._on_cpu)
        added = Vcpu(self._cpu, abi.kvm_run(), was.behaviour, was.model, was.vm, number)
        self._sit(self._seats.add(VcpuRun(added)))
        self._cpu.forget_registers()
        self._cpu.timers = Timers(clock)
        self._power_on(before)
        if not was.vm.counter_offset:
            self._cpu.timers.virtual.set_count(0)  # in all vCPUs (kvm_timer_vcpu_init)
        self.select(was.number)

    def select(self, vcpu: int) -> None:
        if self._seats is None:  # there is one
            if vcpu:
                raise KvmError(EBADF, f"vCPU {vcpu}")
            return
        self._sit(self._seats.take(vcpu))
        connect(self._vcpu)
        identify(self._vcpu)

    def _sit(self, on_cpu: VcpuRun) -> None:
        self._on_cpu, self._vcpu = on_cpu, on_cpu.vcpu
        self._vcpu.vm.on_cpu = self._vcpu
        self._show_registers()

    def _show_registers(self) -> None:
        vcpu = self._vcpu
        self._registers = DEAD if vcpu.vm.dead else self._tables.get(vcpu.number, UNINITIALISED)

    def mp_state(self) -> int:
        return self._vcpu.mp_state

    @property
    def run(self) -> abi.kvm_run:
        return self._vcpu.run

    @property
    def ring(self) -> abi.kvm_coalesced_mmio_ring:
        return self._vcpu.ring

    @property
    def memory(self) -> Memslots:
        return self._vcpu.memslots

    # -- the VM's ioctls ---------------------------------------------------------------------

    def enable_cap(self, cap: str) -> None:
        if cap not in self.kernel.capabilities:
            raise KvmError(EINVAL, enabling(cap))
        extensions.give(self._vcpu, cap, abi.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)

    def ask_cap(self, asked: EnableCap) -> None:
        extensions.enable(self._vcpu, self.kernel, asked)

    def try_vm(self, type_: int) -> None:
        creation.check_vm_type(type_, self._vcpu.model.pa_bits, self.kernel.behaviour)

    def create_irqchip(self) -> None:
        creation.create_irqchip(self._vcpu)

    def set_counter_offset(self, asked: SetCounterOffset) -> None:
        creation.set_counter_offset(self._vcpu, asked)

    def reg_writable_masks(self, asked: GetRegWritableMasks) -> Mapping[int, int]:
        return regmasks.writable_masks(self._vcpu, asked)

    def set_smccc_filter(self, asked: SetSmcccFilter) -> None:
        smcccfilter.set_filter(self._vcpu, asked)

    def set_steal_time(self, addr: int) -> None:
        stealtime.set_ipa(self._vcpu, addr)

    def vcpu_init(self, features: Sequence[str], target: int | None = None, bits: int = 0) -> None:
        vcpu_init(self._vcpu, features, target, bits)
        number, pmu = self._vcpu.number, self._vcpu.pmu is not None
        self._tables[number] = registers_of(self.kernel.behaviour, pmu=pmu)
        self._features.setdefault(number, tuple(features))
        self._show_registers()

    @property
    def features(self) -> tuple[str, ...]:
        return self._features.get(self._vcpu.number) or self._features.get(0, ())

    def ask(self, asked: Ask) -> int:
        return questions.answer(self._vcpu, self.kernel, asked)

    # -- the vCPU's ioctls -------------------------------------------------------------------

    def get_one_reg(self, reg_id: int) -> int:
        try:
            entry = self._registers[reg_id]
        except KeyError:
            raise unknown(_GET, reg_id, self.kernel.behaviour) from None
        except Refused as refusal:
            raise KvmError(refusal.errno, f"{_GET} {said(reg_id)}") from None
        return entry[0](self._vcpu)

    def get_regs(self, reg_ids: Sequence[int]) -> list[int]:
        if self._registers and (take := at_once(reg_ids)) is not None:
            return list(take(self._cpu.regs))
        return [self.get_one_reg(reg_id) for reg_id in reg_ids]

    def set_one_reg(self, reg_id: int, value: int) -> None:
        try:
            entry = self._registers[reg_id]
        except KeyError:
            raise unknown(_SET, reg_id, self.kernel.behaviour) from None
        except Refused as refusal:
            raise KvmError(refusal.errno, f"{_SET} {said(reg_id)}") from None
        try:
            entry[1](self._vcpu, value & (1 << 8 * size_of(reg_id)) - 1)
        except Refused as refusal:
            raise KvmError(refusal.errno, f"{_SET} {said(reg_id)}") from None

    def reg_list(self) -> tuple[int, ...]:
        try:
            return listed(self.kernel.behaviour, self._registers)
        except Refused as refusal:
            raise KvmError(refusal.errno, "KVM_GET_REG_LIST") from None

    def set_guest_debug(self, debug: abi.kvm_guest_debug) -> None:
        guestdebug.set_guest_debug(self._vcpu, debug)

    def irq_line(self, irq: int, level: int) -> None:
        result = irq_line(self._vcpu, irq, level)
        if result < 0:
            raise KvmError(-result, "KVM_IRQ_LINE")

    def signal_msi(self, asked: SignalMsi) -> bool:
        from vcpu_scenario.machine.emulated.kvm import its

        return its.signal_msi(self._vcpu, asked.address, asked.data, asked.device)

    def set_vcpu_events(self, events: abi.kvm_vcpu_events) -> None:
        set_vcpu_events(self._vcpu, events)

    def get_vcpu_events(self) -> abi.kvm_vcpu_events | None:
        return get_vcpu_events(self._vcpu)

    def sibling(self) -> EmulatedMachine:
        return EmulatedMachine(self.kernel)

    def set_mp_state(self, state: int) -> None:
        set_mp_state(self._vcpu, state)

    def pend_signal(self) -> None:
        self._vcpu.signal_pending = True

    def host_interrupt(self) -> None:
        self._vcpu.host_interrupt = True

    def close(self) -> None:
        """The machine must not be used any more: its CPU goes to the next one."""
        if self._seats is not None:
            self._seats.close()
        pool.give_back(self._cpu)

    @property
    def counts_instructions(self) -> bool:
        return True

    @property
    def inside(self) -> Inside:
        return self._on_cpu.inside

    def kvm_run(self, *, instructions: int, seconds: float, turn: float | None = None) -> int:
        if not self._vcpu.timers_enabled:
            return self._run_without_timers(instructions, seconds, turn)
        return self._on_cpu.run(instructions, seconds, turn)

    def _run_without_timers(self, instructions: int, seconds: float, turn: float | None) -> int:
        if not self._vcpu.has_run and (error := first_run(self._vcpu)):
            self._show_registers()
            return error
        result = self._on_cpu.run(instructions, seconds, turn)
        if not self._vcpu.timers_enabled and self._cpu.timers.in_use:
            raise NotModelled("a timer of a vCPU whose vGIC could not be mapped")
        return result


def create(name: str) -> EmulatedMachine:
    """The emulated machine of a kernel, by its release: ``6.12``, ``5.0-v2trap`` or, on another
    host than the default one, ``6.12+cortex-a76``.

    Raises :class:`~vcpu_scenario.kernels.table.UnknownKernel`, and as :class:`EmulatedMachine`.
    """
    return EmulatedMachine(kernel(name))


@lru_cache(maxsize=256)
def _check_seen(name: str) -> None:
    host = parse_release(name).host if "+" in name else ""
    for range_ in ranges_of_host(host):
        if not parse_range(range_).matches(name):
            raise NotSeenThere(f"{host}: only kernels {range_} are modelled there")

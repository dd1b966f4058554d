"""The vCPU as KVM keeps it: what lies between the hardware below and the ioctls above."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_uint8, c_uint16, c_uint32, c_uint64
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu.core import Cpu
from vcpu_scenario.machine.emulated.cpu.debugregisters import DebugRegisters
from vcpu_scenario.machine.emulated.kvm.pmu import Pmu
from vcpu_scenario.machine.emulated.kvm.slots import Memslots, ipa_limit
from vcpu_scenario.machine.emulated.kvm.vm import AFFINITY, Vm, mpidr_of
from vcpu_scenario.machine.emulated.vgic import Vgic

_WIDTHS: Final = (c_uint8, c_uint16, c_uint32, c_uint64)
_MMIO_DATA: Final = abi.kvm_run.u.offset + abi.kvm_run_mmio.data.offset

USE_HW: Final = abi.KVM_GUESTDBG_USE_HW


UNKNOWN_RESET: Final = 0x1DE7_EC7E_DBAD_C0DE
"""What KVM resets architecturally UNKNOWN registers to (``reset_unknown``)."""
OSLSR_RESET: Final = 1 << 3
"""OSLSR_EL1.OSLM: there is an OS lock, and it is open."""


class MmioDecode(Struct, frozen=True):
    """What KVM keeps of an access between its exit and its completion."""

    rt: int
    length: int
    is_write: bool
    sign_extend: bool
    sixty_four: bool
    mask: int
    """All ones, as wide as the access."""


class Reset(Struct, frozen=True):
    """Where a vCPU begins that is switched on, what it has in x0, and whether it is big-endian."""

    pc: int
    context: int
    big_endian: bool


Value = TypeVar("Value")


class _Beside(Generic[Value]):
    """An attribute that is in :attr:`Vcpu.company` unless it is ``none``: then there is nothing to
    do for it at an entry or exit."""

    def __init__(self, none: Value) -> None:
        self._none: Final = none

    def __set_name__(self, _owner: type[Vcpu], name: str) -> None:
        self._name = name

    def __get__(self, vcpu: Vcpu, _owner: type[Vcpu]) -> Value:
        value: Value = vcpu.company.get(self._name, self._none)
        return value

    def __set__(self, vcpu: Vcpu, value: Value) -> None:
        if value == self._none:
            vcpu.company.pop(self._name, None)
        else:
            vcpu.company[self._name] = value


class Vcpu:
    """State of one vCPU. The modules beside this one act on it."""

    gic = _Beside[Vgic | None](None)
    pmu = _Beside[Pmu | None](None)
    steal_time = _Beside[int | None](None)
    """The address (IPA) of the record of the stolen time."""
    mp_state = _Beside[int](abi.KVM_MP_STATE_RUNNABLE)
    pending_reset = _Beside[Reset | None](None)
    """Another vCPU has switched this one on."""
    signal_pending = _Beside[bool](False)
    host_interrupt = _Beside[bool](False)
    debug_changed = _Beside[bool](False)
    """The debug state has to be programmed before the next entry."""
    loads_vmcr = _Beside[bool](False)
    """The next entry loads ICH_VMCR_EL2, though the VM has no vGIC."""

    def __init__(
        self,
        cpu: Cpu,
        run: abi.kvm_run,
        behaviour: Behaviour,
        model: CpuModel,
        vm: Vm[Vcpu] | None = None,
        number: int = 0,
    ) -> None:
        """``vm`` is the one that this is a further vCPU of."""
        self.company: Final = dict[str, Any]()
        """What :mod:`.company` has to look after."""
        vm = vm or Vm(Memslots(cpu.stage2, behaviour, ipa_limit(behaviour, model.pa_bits)))
        self.vm: Final = vm
        self.number: Final = number
        vm.vcpus.append(self)
        vm.on_cpu = self
        self.cpu: Final = cpu
        self.model: Final = model
        self.mpidr = 0 if number else mpidr_of(0)
        """That of its number from its first KVM_ARM_VCPU_INIT on."""
        self.run: Final = run
        self.behaviour: Final = behaviour
        # Without VHE a Cortex-A57 of QEMU traps them for CNTHCTL_EL2.EL1PCEN; KVM knows CNTPCT_EL0
        # since c605ee245097 (6.4).
        cpu.timers.clock.lost_at_el0 = not (behaviour.counter_offset or model.armv8_2)
        # Views of the union in kvm_run: going through the structure costs more than a step may.
        self.debug_exit: Final = run.debug
        self.mmio_exit: Final = run.mmio
        self.mmio_data: Final = {
            ctypes.sizeof(width): width.from_buffer(run, _MMIO_DATA) for width in _WIDTHS
        }
        self.bus: Final = vm.bus
        self.memslots: Final = vm.memslots
        self.ring: Final = vm.ring
        self.caps: Final = vm.caps
        self.features: frozenset[str] | None = None
        """What ``KVM_ARM_VCPU_INIT`` asked for, None before it."""
        self.psci_0_2 = True
        self.has_run = False
        """``KVM_RUN`` was called for it."""
        self.timers_enabled = False
        """``kvm_timer_enable``, by its first ``KVM_RUN``; on some kernels it also runs without."""
        self.random_calls = 0
        # Guest debug.
        self.guest_debug = 0
        self.stepping = False
        """``guest_debug`` asks for single-step."""
        self.external_debug = DebugRegisters()
        self.guest_mdscr = 0
        self.guest_bcr = [0] * 16
        self.guest_bvr = [0] * 16
        self.guest_wcr = [0] * 16
        self.guest_wvr = [0] * 16
        self.debug_changed = True
        self.debug_written = False
        """The guest has written a debug register since then (``KVM_ARM64_DEBUG_DIRTY``)."""
        self.debug_untrapped = False
        """MDCR_EL2.TDA is off since the last entry: debug registers are the guest's own."""
        self.guest_ss = 0
        self.host_ss_active_pending = False
        self.guest_ss_active_pending = False
        # Emulation in flight.
        self.increment_pc = False
        self.pending_exception: int | None = None
        """An exception to be taken to EL1 at the next entry, or when the run returns: the offset of
        its vector from that of a synchronous one."""
        self.mmio_needed = False
        self.mmio_decode: MmioDecode | None = None
        self.access_at: int | None = None
        """Address of the access that went out to userspace, until it is completed."""
        self.fault_far = 0
        self.seconds = 0.0
        """How long the current ``KVM_RUN`` may wait."""
        self.turn: int | None = None
        """The ticks that it may wait while another vCPU has something to do in its turn."""
        self.waits = False
        """Its last ``KVM_RUN`` ended while it waited for an interrupt."""
        self.wakes: int | None = None
        """When a timer ends such a wait, by the clock."""
        self.until: int | None = None
        """When a signal would end that wait for a timer, and not only the turn."""
        self.mdccint = 0
        self.unloaded: Final = dict[int, int]()
        """By its id what the VMM wrote to a register of which the CPU does not keep all: KVM has it
        until the vCPU runs."""
        self.oslsr = OSLSR_RESET
        self.csselr = UNKNOWN_RESET
        # What the VMM wrote, where that is not what KVM shows by itself.
        self.id_values: Final = vm.id_values
        self.clidr: int | None = None
        self.kept: Final = dict[Encoding, int]()
        """Registers that the guest of this machine cannot see, and that KVM keeps for the VMM."""
        self.firmware: Final = vm.firmware
        self.ccsidr: Final = dict[int, int]()

    def use_timers(self) -> None:
        """One of its timers was enabled."""
        self.company["timers"] = self.cpu.attended = True

    def stop(self) -> None:
        """It runs no more until another vCPU or the VMM has it run."""
        self.mp_state = abi.KVM_MP_STATE_STOPPED

    def affinity(self) -> int:
        return self.mpidr & AFFINITY


class Refused(Exception):
    """KVM refuses a value that is written to one of its registers, with ``errno``."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


Handler = Callable[[Vcpu], int]
"""Handles an exit: above 0 re-enters the guest, 0 returns to userspace, below is -errno."""

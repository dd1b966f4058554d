"""Firecracker (``src/vmm/src/gdb/target.rs``, ``event_loop.rs``, ``arch/aarch64.rs``,
``src/vmm/src/vstate/vcpu.rs`` at 81b38b9da).

From its source; it was not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from vcpu_scenario.actions.guestdebug import struct_of
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.debugger import BRK, reason_of
from vcpu_scenario.vmm.memory import Memory, Unreachable
from vcpu_scenario.vmm.told import Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.kernel_half import FewRegisters, is_kernel, translate
from vcpu_scenario.vmm.vmms.terms import CPSR, HARDWARE, PC, SOFTWARE, Hangs, Known, Refused

_MASKED: Final = 0xC0
"""PSTATE.I and F (``IRQ_ENABLE_FLAGS``)."""


class Firecracker(FewRegisters):
    """It changes the guest's interrupt mask around each step, and sees the kernel's half alone.

    Of several vCPUs the one that stops does so alone. The others go on, with the breakpoints that
    were set when they were resumed last, and registers of one that is in ``KVM_RUN`` are not to be
    had: ``KVM_GET_ONE_REG`` waits for it, and its stub with it.
    """

    name = "firecracker"
    known = Known("81b38b9da")
    points = frozenset({SOFTWARE, HARDWARE})
    most_hardware = 4
    always_asks = True
    pauses = False
    queues = True
    interrupted_vcpu = 0

    paused: bool
    """``VcpuState.paused``: whether its debugger was told of it, and it was not resumed since."""

    def __init__(self, machine: Machine, memory: Memory) -> None:
        super().__init__(machine, memory)
        self.stopped()
        self._entry = Vmm.read_register(self, PC)

    def fresh(self) -> dict[str, Any]:
        return super().fresh() | {"paused": False, "inside": True}

    def stopped(self) -> None:
        """``set_paused_vcpu``."""
        self.paused, self.inside = True, False
        self._told = self.vcpu

    def interrupted(self) -> Told:
        """``pause_vcpu``."""
        self.stopped()
        return super().interrupted()

    def begins(self) -> None:
        """``gdb_thread``; the first vCPU it brings to its entry so."""
        if self.vcpu:
            self._set_debug()

    def resumes(self, steps: Sequence[bool | None]) -> Sequence[bool | None]:
        """``reset_all_vcpu_states``."""
        for state in (vars(self), *self._others.values()):
            state["stepping"] = False
        return steps

    def resume(self, step: bool) -> Told | None:
        """``update_vcpu_kvm_debug``: of one that runs nothing."""
        self.stepping = step
        if self.paused:
            self.paused = False
            self._set_debug()
        return None

    def _set_debug(self) -> None:
        """``vcpu_set_debug``: ``toggle_interrupts``, and everything on, whatever is set."""
        pstate = Vmm.read_register(self, CPSR)  # which it does not show its debugger
        masked = pstate | _MASKED if self.stepping else pstate & ~_MASKED
        Vmm.write_register(self, CPSR, masked)
        self.ask(self.wanted())

    def wanted(self) -> GuestDebug:
        always = abi.KVM_GUESTDBG_USE_HW | abi.KVM_GUESTDBG_USE_SW_BP
        return self.request(always | (abi.KVM_GUESTDBG_SINGLESTEP if self.stepping else 0))

    def ask(self, debug: GuestDebug) -> None:
        self.debug = debug
        self.machine.set_guest_debug(struct_of(debug))

    def tells(self, exit_: Exit) -> Told | None:
        """``get_stop_reason``: while stepping everything is a step. A stop that it does not know is
        the guest's, to which it gives nothing (``vcpu_inject_bp``): the vCPU continues at the same
        instruction. One where the guest began is a breakpoint to it (``entry_addr``), and one at an
        address that it cannot translate is an error that ends the VM."""
        if reason_of(exit_) is None:
            return None
        if self.stepping:
            return Stopped(Why.STEP)
        try:
            ipa = self._translate(exit_.pc)
        except Unreachable as error:
            return Over(1, f"its stub cannot translate the pc: {error}")
        if ipa in self.software:
            return Stopped(Why.SOFTWARE)
        known = exit_.pc in (*self.hardware, self._entry)
        return Stopped(Why.HARDWARE) if known else None

    def read_register(self, number: int) -> int:
        self._reach()
        return super().read_register(number)

    def read_registers(self) -> tuple[int, ...]:
        self._reach()
        return super().read_registers()

    def write_register(self, number: int, value: int) -> None:
        self._reach()
        super().write_register(number, value)

    def _reach(self) -> None:
        if self.inside:
            raise Hangs(f"Firecracker waits for vCPU {self.vcpu}, which is in KVM_RUN")

    def ipa(self, addr: int) -> int:
        self._reach()
        return self._translate(addr)

    def _translate(self, addr: int) -> int:
        if not is_kernel(addr):
            raise Unreachable(addr)
        return translate(self.machine, self.memory, addr)

    def insert(self, kind: int, addr: int, length: int) -> None:
        """``add_hw_breakpoint`` has each but once."""
        if kind != HARDWARE or addr not in self.hardware:
            super().insert(kind, addr, length)

    def insert_software(self, addr: int) -> None:
        """By physical address, which is the told vCPU's (``add_sw_breakpoint``)."""
        try:
            ipa = self._ipa_of_told(addr)
            if ipa not in self.software:
                self.software[ipa] = self.memory.read(ipa, len(BRK), devices=False)
                self.memory.write(ipa, BRK, devices=False)
        except Unreachable:
            raise Refused from None

    def remove_software(self, addr: int) -> None:
        try:
            self.memory.write(ipa := self._ipa_of_told(addr), self.software[ipa], devices=False)
        except (Unreachable, KeyError):
            raise Refused from None
        del self.software[ipa]

    def _ipa_of_told(self, addr: int) -> int:
        with self.at(self._told):
            return self._translate(addr)

    def resets(self) -> Told:
        """``handle_kvm_exit`` ends the VM at a reset as at a shutdown."""
        return Over(0, "Firecracker ends at a reset")

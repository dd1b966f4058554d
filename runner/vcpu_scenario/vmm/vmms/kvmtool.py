"""kvmtool with the stub that is offered for it (pull request 17 at 08e4f99, ``gdb.c``).

From its source; it was not recorded, and what is released has no stub.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.case import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit, StopReason
from vcpu_scenario.vmm.debugger import reason_of
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.qemu import take_exception
from vcpu_scenario.vmm.told import SIGTRAP, Stopped, Told, Watch, Why
from vcpu_scenario.vmm.vmms.base import BRK, CPSR, PC, Known, Refused, Vmm, sp_el0
from vcpu_scenario.vmm.vmms.kernel_half import is_kernel, translate

_MASKED: Final = 0x1C0
"""PSTATE.A, I and F."""
_LOW: Final = 1 << 31
"""Addresses below are physical."""
_SHARED: Final = 4
"""Breakpoints and watchpoints that it has in all."""


class Kvmtool(Vmm):
    """It lifts its BRK, steps over and puts it back by itself; a step leaves PSTATE's A, I and F as
    they were before, whatever the instruction did to them."""

    name = "kvmtool"
    known = Known("08e4f99")
    interrupt = SIGTRAP
    lifted: int | None = None
    """The breakpoint that it is stepping over."""
    continuing = False
    """Whether the debugger waits for more than that step."""
    mask: int | None = None
    """What it puts back after a step."""

    def resume(self, step: bool) -> Told | None:
        """``prepare_resume``."""
        pc = self.read_register(PC)
        self.continuing = not step
        if pc in self.software:
            self.lifted = pc
            self.write_memory(pc, self.software[pc])
        self.stepping = step or self.lifted is not None
        if self.stepping:
            pstate = self.read_register(CPSR)
            self.mask = pstate & _MASKED
            self.write_register(CPSR, pstate | _MASKED)
        self.ask(self.wanted())
        return None

    def wanted(self) -> GuestDebug:
        points = self.hardware or self.watches
        return self.request(
            abi.KVM_GUESTDBG_USE_SW_BP
            | (abi.KVM_GUESTDBG_USE_HW if points else 0)
            | (abi.KVM_GUESTDBG_SINGLESTEP if self.stepping else 0)
        )

    def exited(self, exit_: Exit) -> Told | None:
        """``handle_stop``; a BRK that it did not write becomes the guest's exception
        (``arch_reinject_sw_bp``)."""
        reason = reason_of(exit_)
        if reason is None:
            return None
        self._end_step()
        if reason is StopReason.BRK and exit_.pc not in self.software:
            take_exception(self.machine, exit_.fields["hsr"])
            self.gave = True
            return None
        if reason is StopReason.STEP and self.continuing:
            self.stepping = False
            self.ask(self.wanted())
            return None
        why = Why.SOFTWARE if reason is StopReason.BRK else Why.STEP
        return Stopped(why)

    def _end_step(self) -> None:
        if self.lifted is not None:
            self.write_memory(self.lifted, BRK)
            self.lifted = None
        if self.mask is not None:
            pstate = self.read_register(CPSR) & ~_MASKED
            self.write_register(CPSR, pstate | self.mask)
            self.mask = None

    def interrupted(self) -> Told:
        self._end_step()
        return super().interrupted()

    def insert(self, kind: int, addr: int, length: int) -> None:
        if kind and len(self.hardware) + len(self.watches) >= _SHARED:
            raise Refused
        super().insert(kind, addr, length)

    def insert_watch(self, watch: Watch) -> None:
        if watch.length > 8 or watch.addr % 8 + watch.length > 8:
            raise Refused
        super().insert_watch(watch)

    def stack_pointer(self) -> int:
        return sp_el0()

    def read_memory(self, addr: int, length: int) -> bytes:
        return self.memory.read(self._translate(addr), length, devices=False)

    def write_memory(self, addr: int, data: bytes) -> None:
        self.memory.write(self._translate(addr), data, devices=False)

    def _translate(self, addr: int) -> int:
        if addr < _LOW:
            return addr
        if not is_kernel(addr):
            raise Unreachable(addr)
        return translate(self.machine, self.memory, addr)

"""kvmtool with the stub that is offered for it (pull request 17: ``gdb.c`` at ef8b301f4,
``arm64/gdb.c`` at 08e4f999f, and ``kvm-cpu.c``).

From its source; it was not recorded, and what is released has no stub. A step from a BRK of its own
that the debugger has not taken away lets the vCPU go while it tells of the stop: what comes of that
is a matter of time, and is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import NotModelled
from vcpu_scenario.trace import Exit, StopReason
from vcpu_scenario.vmm.debugger import BRK, reason_of
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.told import SIGTRAP, Over, Stopped, Told, Watch, Why
from vcpu_scenario.vmm.vmms.exception import take_exception
from vcpu_scenario.vmm.vmms.kernel_half import MemoryAlone
from vcpu_scenario.vmm.vmms.terms import CPSR, PC, SP_EL0, SP_EL1, Known, Refused

_MASKED: Final = 0x1C0
"""PSTATE.A, I and F (``ARM64_DAIF_MASK``)."""
_EL: Final = 0b1100
_LOW: Final = 1 << 20
"""Addresses below are physical (``GDB_IDMAP_FALLBACK_MAX``)."""
_KERNEL: Final = 0xFFFF << 48
_RAM: Final = 0x8000_0000
"""Where kvmtool has it: what is not mapped is looked for there (``GDB_ARM64_PHYS_OFFSET``)."""
_SHARED: Final = 4
"""Breakpoints and watchpoints that it has in all (``GDB_MAX_HW_BP``)."""


class Kvmtool(MemoryAlone):
    """It lifts the BRK that it stopped at, steps over and puts it back by itself; a step leaves
    PSTATE's A, I and F as they were before, whatever the instruction did to them.

    Of several vCPUs it steps the one that stopped, and shows that one's registers, whatever its
    debugger asks for; which of two continues that stopped at once is a matter of time.
    """

    name = "kvmtool"
    known = Known("08e4f99")
    interrupt = SIGTRAP
    always_asks = True
    interrupted_vcpu = 0

    last: StopReason | None
    """What it stopped for last; None at the start and after a ^C."""
    vcpu_stopped: int | None = 0
    """``stopped_vcpu``: the one that stopped by itself; None after a ^C."""
    lifter = 0
    """The vCPU that steps over :attr:`lifted`."""
    lifted: int | None = None
    """The breakpoint that it is stepping over."""
    continuing = False
    """Whether the debugger waits for more than the end of that step."""
    mask: int | None = None
    """What it puts back after a step."""

    def fresh(self) -> dict[str, Any]:
        return super().fresh() | {"last": None}

    def shown(self, number: int) -> int:
        """``current_vcpu``."""
        return number if self.vcpu_stopped is None else self.vcpu_stopped

    def resumes(self, steps: Sequence[bool | None]) -> Sequence[bool | None]:
        """``run_debug_session`` and ``apply_debug_to_all``."""
        step, stopped = any(steps), self.vcpu_stopped or 0
        self.vcpu_stopped = None
        return [step and number == stopped for number in range(len(steps))]

    def resume(self, step: bool) -> Told | None:
        """``prepare_sw_bp_resume``, and ``prepare_resume``, which does nothing where the vCPU did
        not stop by itself."""
        pc = self.read_register(PC)
        lifts = self.last is StopReason.BRK and pc in self.software
        if lifts:
            self.write_memory(pc, self.software[pc])
            self.lifted, self.lifter = pc, self.vcpu
            self.continuing = not step
        self.stepping = step or lifts
        if self.stepping and self.last is not None:
            pstate = self.read_register(CPSR)
            self.mask = pstate & _MASKED
            self.write_register(CPSR, pstate | _MASKED)
        self.ask(self.wanted())
        return None

    def wanted(self) -> GuestDebug:
        """``set_debug``, which leaves out a watchpoint that is no byte of eight."""
        watches = [one for one in self.watches if _is_programmed(one)]
        return self.request(
            abi.KVM_GUESTDBG_USE_SW_BP
            | (abi.KVM_GUESTDBG_USE_HW if self.hardware or watches else 0)
            | (abi.KVM_GUESTDBG_SINGLESTEP if self.stepping else 0),
            watches,
        )

    def tells(self, exit_: Exit) -> Told | None:
        """``handle_debug``: of all but the guest's own BRKs, and the end of the step over one of
        its own."""
        reason = reason_of(exit_)
        if reason is None or self._is_the_guests(exit_) or self._steps_over:
            return None
        return Stopped(Why.SOFTWARE if reason is StopReason.BRK else Why.STEP)

    def exited(self, exit_: Exit) -> Told | None:
        """A BRK that it did not write, or has lifted, becomes the guest's exception
        (``reinject_sw_bp``), and a step continues into that."""
        told, reason = self.tells(exit_), reason_of(exit_)
        self._is_alone(told, reason)
        if self._is_the_guests(exit_):
            take_exception(self.machine, exit_.fields["hsr"])
            self.gave = True
        elif reason is not None:
            self.last = reason
            goes_on = self._steps_over
            self._end_step()
            if goes_on:
                self.stepping = False
                self.ask(self.wanted())
        return told

    def _is_alone(self, told: Told | None, reason: StopReason | None) -> None:
        other = self._steps_over and reason is not None and self.lifter != self.vcpu
        if other or (told is not None and self.vcpu_stopped is not None):
            raise NotModelled("which vCPU goes on with kvmtool where two stop at once")
        if told is not None:
            self.vcpu_stopped = self.vcpu

    def _is_the_guests(self, exit_: Exit) -> bool:
        known = exit_.pc in self.software and exit_.pc != self.lifted
        return reason_of(exit_) is StopReason.BRK and not known

    @property
    def _steps_over(self) -> bool:
        return self.lifted is not None and self.continuing

    def _end_step(self) -> None:
        """``handle_stop`` and ``finish_sw_bp_resume``."""
        if self.mask is not None:
            pstate = self.read_register(CPSR) & ~_MASKED
            self.write_register(CPSR, pstate | self.mask)
            self.mask = None
        if self.lifted is not None:
            self.write_memory(self.lifted, BRK)
            self.lifted = None

    def interrupted(self) -> Told:
        """A step that a ^C cuts short is not ended: its mask and its BRK wait for the next stop."""
        self.last = None
        return super().interrupted()

    def resets(self) -> Told:
        """``kvm_cpu__start`` takes every system event for a shutdown."""
        return Over(0, "kvmtool ends at a reset")

    def insert(self, kind: int, addr: int, length: int) -> None:
        if kind and len(self.hardware) + len(self.watches) >= _SHARED:
            raise Refused
        super().insert(kind, addr, length)

    def insert_watch(self, watch: Watch) -> None:
        """``hw_bp_insert``: any."""
        self.watches.append(watch)

    def stack_pointer(self) -> int:
        """``sp_reg_id``: by PSTATE.EL, whatever PSTATE.SP selects."""
        return SP_EL1 if self.read_register(CPSR) & _EL else SP_EL0

    def ipa(self, addr: int) -> int:
        """``gva_to_gpa``: of the kernel's half alone, or else very low."""
        if addr >= _KERNEL:
            try:
                return self.memory.translate(addr)
            except Unreachable:
                return addr - _KERNEL + _RAM
        if addr >= _LOW:
            raise Unreachable(addr)
        return addr


def _is_programmed(watch: Watch) -> bool:
    return 0 < watch.length <= 8 and watch.addr % 8 + watch.length <= 8

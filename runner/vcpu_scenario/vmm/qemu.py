"""QEMU, as its sources of 7.2 and 10.0 have it and as it was recorded under six kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, sys_reg
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit, StopReason
from vcpu_scenario.vmm.debugger import (
    Asked,
    reason_of,
    stepping,
)

_MODE_MASK: Final = 0xF
_EL1T: Final = 0b0100
_EL1H_MASKED: Final = 0x3C5
"""PSTATE at an exception: EL1h, with D, A, I and F set."""


class Qemu:
    """QEMU's run loop and debugger stub.

    It kicks its vCPU thread at pause and at resume, and so the first ``KVM_RUN`` after every stop
    has ``immediate_exit`` set and returns ``EINTR`` (``pause_all_vcpus``, ``resume_all_vcpus``).
    """

    kicks = True

    def reason(self, exit_: Exit, asked: Asked) -> StopReason | None:
        """``kvm_arm_handle_debug``: only of what the debugger itself has set."""
        reason = reason_of(exit_)
        return reason if reason is not None and _HAS_ASKED[reason](exit_, asked) else None

    def stop(self, asked: Asked) -> tuple[SetGuestDebug, ...]:
        """``gdb_vm_state_change`` switches the step off; with no breakpoint set, guest debug is
        off as a whole (``kvm_update_guest_debug``)."""
        return _without_step(asked.debug, bool(asked.breakpoints))

    def resume(self, asked: Asked) -> tuple[SetGuestDebug, ...]:
        return _all_of(asked.debug)

    def gives(self, exit_: Exit) -> bool:
        """What the debugger has not set is the guest's own; but a step that nobody asked for is
        only an error of QEMU's. An access without a syndrome becomes an external abort
        (``kvm_arm_handle_dabt_nisv``)."""
        if exit_.exit == "ARM_NISV":
            return not exit_.ret
        return reason_of(exit_) not in (None, StopReason.STEP)

    def give(self, machine: Machine, exit_: Exit) -> None:
        if exit_.exit == "ARM_NISV":
            machine.set_vcpu_events(abi.kvm_vcpu_events(ext_dabt_pending=1))
        else:
            take_exception(machine, exit_.fields["hsr"])


class Qemu2017(Qemu):
    """QEMU with the patch of 2017: while stepping it leaves its run loop with ``EXCP_DEBUG`` after
    ``KVM_EXIT_MMIO`` as well, which is before the access is complete."""

    def reason(self, exit_: Exit, asked: Asked) -> StopReason | None:
        if exit_.exit == "MMIO" and not exit_.ret and stepping(asked.debug):
            return StopReason.STEP
        return super().reason(exit_, asked)


_HAS_ASKED: Final[Mapping[StopReason, Callable[[Exit, Asked], bool]]] = {
    StopReason.STEP: lambda exit_, asked: stepping(asked.debug),
    StopReason.BRK: lambda exit_, asked: exit_.pc in asked.breakpoints,
    StopReason.HARDWARE_BREAKPOINT: lambda exit_, asked: exit_.pc in asked.debug.hw_bp,
    StopReason.WATCHPOINT: lambda exit_, asked: any(
        watches(one, exit_.fields["far"]) for one in asked.debug.watch
    ),
}


@lru_cache
def _without_step(debug: GuestDebug, brks: bool) -> tuple[SetGuestDebug, ...]:
    if not stepping(debug):
        return ()
    breaks = debug.hw_bp or debug.watch or brks
    control = debug.control & ~abi.KVM_GUESTDBG_SINGLESTEP if breaks else 0
    return (SetGuestDebug(replace(debug, control=control)),)


@lru_cache
def _all_of(debug: GuestDebug) -> tuple[SetGuestDebug, ...]:
    return (SetGuestDebug(debug),) if debug != GuestDebug() else ()


def watches(watch: Watchpoint, addr: int) -> bool:
    """``check_watchpoint_in_range``: of up to 8 bytes only the first one counts, and of a larger
    range the byte behind it as well; its mask has no more than four bits, and the range begins at a
    multiple of what is left of its size in the 5 bits of a shift."""
    if watch.len <= 8:
        return bool(watch.len) and addr == watch.addr
    bits = watch.len.bit_length() - 1
    first = watch.addr & ~((1 << (bits & 0x1F)) - 1)
    mask = bits & 0xF
    return first <= addr <= first + (1 << mask if mask else 0)


def take_exception(machine: Machine, syndrome: int) -> None:
    """``arm_cpu_do_interrupt`` to EL1 with ``EXCP_BKPT``, which leaves FAR_EL1 as it is; for a CPU
    that has none of PAN, SSBS and MTE."""
    pstate = machine.get_one_reg(_PSTATE)
    mode = pstate & _MODE_MASK
    offset = 0x400 if mode < _EL1T else 0 if mode == _EL1T else 0x200
    for register, value in (
        (_ESR, syndrome),
        (_SPSR, pstate),
        (_ELR, machine.get_one_reg(_PC)),
        (_PSTATE, _EL1H_MASKED),
        (_PC, machine.get_one_reg(_VBAR) + offset),
    ):
        machine.set_one_reg(register, value)


_PC: Final = CORE_REGISTERS["pc"]
_PSTATE: Final = CORE_REGISTERS["pstate"]
_ELR: Final = CORE_REGISTERS["elr_el1"]
_SPSR: Final = CORE_REGISTERS["spsr_el1"]
_ESR: Final = sys_reg(*sysregs.ESR_EL1)
_VBAR: Final = sys_reg(*sysregs.VBAR_EL1)

"""Guest debug: what KVM programs into the CPU for it, and who keeps the step's state.

The Arm software step is a small state machine in PSTATE.SS: 1 is active-not-pending (execute one
instruction), 0 is active-pending (take the step exception at once). The generations of KVM differ
in who remembers which of the two a vCPU was in when it left the guest.
"""

from __future__ import annotations

from errno import EINVAL
from typing import NamedTuple

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu.controls import MDCR_TDE
from vcpu_scenario.machine.emulated.cpu.debugregisters import (
    BREAKPOINTS,
    WATCHPOINTS,
    DebugRegisters,
)
from vcpu_scenario.machine.emulated.cpu.hardware import KDE
from vcpu_scenario.machine.emulated.cpu.matching import MDE
from vcpu_scenario.machine.emulated.cpu.regfile import SS
from vcpu_scenario.machine.emulated.kvm.vcpu import USE_HW, Vcpu
from vcpu_scenario.machine.errors import KvmError

_VALID = (
    abi.KVM_GUESTDBG_ENABLE
    | abi.KVM_GUESTDBG_SINGLESTEP
    | abi.KVM_GUESTDBG_USE_SW_BP
    | abi.KVM_GUESTDBG_USE_HW
)
_MDSCR_SS = 1
OSLK = 1 << 1
_MDCR_TRAPS = 1 << 9 | 1 << 10 | 1 << 11 | 1 << 6 | 1 << 5  # TDA, TDOSA, TDRA, TPM, TPMCR
_NO_REGISTERS = DebugRegisters()


def set_guest_debug(vcpu: Vcpu, debug: abi.kvm_guest_debug) -> None:
    """``KVM_SET_GUEST_DEBUG``."""
    if debug.control & ~_VALID:
        raise KvmError(EINVAL, "KVM_SET_GUEST_DEBUG")
    if not debug.control & abi.KVM_GUESTDBG_ENABLE:
        vcpu.guest_debug = 0
        vcpu.host_ss_active_pending = False
    else:
        vcpu.guest_debug = debug.control
        if debug.control & USE_HW:
            arch = debug.arch
            vcpu.external_debug = DebugRegisters(
                tuple(arch.dbg_bcr[:BREAKPOINTS]),
                tuple(arch.dbg_bvr[:BREAKPOINTS]),
                tuple(arch.dbg_wcr[:WATCHPOINTS]),
                tuple(arch.dbg_wvr[:WATCHPOINTS]),
            )
    vcpu.stepping = bool(vcpu.guest_debug & abi.KVM_GUESTDBG_SINGLESTEP)
    vcpu.debug_changed = True


def program(vcpu: Vcpu) -> None:
    """Brings MDCR_EL2, MDSCR_EL1 and the debug registers to what the guest will run with."""
    vcpu.debug_untrapped = _are_untrapped(vcpu)
    vcpu.debug_written = False
    # What lasts to the next exit alone is to be looked at again behind it.
    vcpu.debug_changed = vcpu.debug_untrapped
    cpu = vcpu.cpu
    locked = vcpu.oslsr & OSLK
    if (vcpu.guest_debug or locked) and vcpu.behaviour.guest_mdscr_kept_short:
        # KVM sets it aside while another is in force, in 32 bits (``kvm_vcpu_needs_debug_regs``).
        vcpu.guest_mdscr &= 0xFFFF_FFFF
    guest_mdscr = vcpu.guest_mdscr
    if locked:
        guest_mdscr &= ~(MDE | KDE | _MDSCR_SS)
    mdscr, registers = guest_mdscr, _NO_REGISTERS
    if vcpu.guest_debug:
        cpu.set_mdcr(_MDCR_TRAPS | MDCR_TDE)
        if vcpu.behaviour.guest_debug_owns_registers and mdscr & (MDE | KDE):
            mdscr &= ~(MDE | KDE)
        mdscr = mdscr | _MDSCR_SS if vcpu.stepping else mdscr & ~_MDSCR_SS
    else:
        cpu.set_mdcr(_MDCR_TRAPS)
    if vcpu.guest_debug & USE_HW:
        mdscr |= MDE
        registers = vcpu.external_debug
    elif mdscr & (MDE | KDE):
        registers = _guest_registers(vcpu)
    if vcpu.guest_debug and vcpu.behaviour.pkvm_debug_mdscr_lost:
        mdscr = 0
    cpu.set_mdscr(mdscr)
    cpu.debug.load(registers)


def _are_untrapped(vcpu: Vcpu) -> bool:
    """``kvm_arm_setup_mdcr_el2``: whether the guest's accesses to its debug registers do not trap.

    Since 6.14 KVM looks where the vCPU is loaded, and at an access that traps. What the guest has
    switched off meanwhile makes no difference: it cannot step itself at EL1 then.
    """
    if vcpu.guest_debug or vcpu.oslsr & OSLK:
        return False  # MDCR_EL2.TDE traps them as well
    if vcpu.behaviour.guest_owns_debug_registers:
        return bool(vcpu.guest_mdscr & (MDE | KDE))
    return vcpu.debug_written


def guest_registers_in_use(vcpu: Vcpu) -> bool:
    """Whether the CPU holds the guest's own debug registers, once it writes any, and not the
    VMM's."""
    if vcpu.behaviour.guest_debug_owns_registers:
        return not vcpu.guest_debug
    return not vcpu.guest_debug & USE_HW


def _guest_registers(vcpu: Vcpu) -> DebugRegisters:
    return DebugRegisters(
        tuple(vcpu.guest_bcr[:BREAKPOINTS]),
        tuple(vcpu.guest_bvr[:BREAKPOINTS]),
        tuple(vcpu.guest_wcr[:WATCHPOINTS]),
        tuple(vcpu.guest_wvr[:WATCHPOINTS]),
    )


# -- the step's state, each way that a generation of KVM has kept it -----------------------------


class StepState:
    """Up to 6.0: every entry starts a new step, whatever became of the last one.

    All is called while single-step is asked for, and only then, but of :class:`GuestSsKept`.
    """

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu = vcpu
        self._pstate = vcpu.cpu.state

    def load(self) -> None:
        """At the start of ``KVM_RUN``."""

    def setup(self) -> None:
        """Before each entry."""
        self._pstate.value |= SS

    def clear(self) -> None:
        """After each exit."""

    def step_taken(self) -> None:
        """A step exception goes out to userspace."""

    def put(self) -> None:
        """At the end of ``KVM_RUN``."""


class ActivePendingKept(StepState):
    """6.1 to 6.13: a step that was pending when the guest exited stays pending at the next
    entry, and the guest's own PSTATE.SS comes back after each exit."""

    def setup(self) -> None:
        vcpu, pstate = self._vcpu, self._pstate.value
        vcpu.guest_ss = pstate & SS
        if vcpu.host_ss_active_pending:
            self._pstate.value = pstate & ~SS
        else:
            self._pstate.value = pstate | SS

    def clear(self) -> None:
        vcpu, pstate = self._vcpu, self._pstate.value
        if not pstate & SS:
            vcpu.host_ss_active_pending = True
        self._pstate.value = pstate & ~SS | vcpu.guest_ss

    def step_taken(self) -> None:
        self._vcpu.host_ss_active_pending = False


class GuestSsKept(StepState):
    """6.1 to 6.13, guest debug without single-step: the hardware drops PSTATE.SS at the entry, and
    KVM puts back after the exit what was there before it."""

    def setup(self) -> None:
        self._vcpu.guest_ss = self._pstate.value & SS

    def clear(self) -> None:
        self._pstate.value |= self._vcpu.guest_ss


class SwappedAtLoad(StepState):
    """Since 6.14: host and guest each have a state of their own, swapped where the vCPU is
    loaded and put, so that a pending step survives a return to userspace."""

    def load(self) -> None:
        vcpu, pstate = self._vcpu, self._pstate.value
        vcpu.guest_ss_active_pending = not pstate & SS
        if vcpu.host_ss_active_pending:
            self._pstate.value = pstate & ~SS
        else:
            self._pstate.value = pstate | SS

    def setup(self) -> None:
        pass

    def step_taken(self) -> None:
        self._pstate.value |= SS

    def put(self) -> None:
        vcpu, pstate = self._vcpu, self._pstate.value
        vcpu.host_ss_active_pending = not pstate & SS
        if vcpu.guest_ss_active_pending:
            self._pstate.value = pstate & ~SS
        else:
            self._pstate.value = pstate | SS


class StepStates(NamedTuple):
    """Who keeps the step's state of a vCPU while it is stepped, and while it is only debugged."""

    stepped: StepState
    debugged: StepState | None


def step_states(vcpu: Vcpu) -> StepStates:
    """The way of this vCPU's kernel."""
    if vcpu.behaviour.step_state_swapped_at_load:
        return StepStates(SwappedAtLoad(vcpu), None)
    if vcpu.behaviour.active_pending_kept:
        return StepStates(ActivePendingKept(vcpu), GuestSsKept(vcpu))
    return StepStates(StepState(vcpu), None)


def unstepped(vcpu: Vcpu, debugged: StepState | None) -> StepState | None:
    """Who keeps it of a vCPU that is debugged and not stepped; None where nobody has to."""
    return debugged if vcpu.cpu.state.value & SS else None

"""Exceptions and skips that KVM puts into the guest.

Up to 5.10 KVM changes the vCPU's state at once; since 5.11 it notes what is to be done and does
it at the next entry, after the debug state is set up (rule ``pc_adjusted_at_entry``). The syndrome
and the address are the guest's at once in either: what a VMM writes over them stays.
"""

from __future__ import annotations

from vcpu_scenario.arm64 import esr
from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.machine.emulated.cpu.hardware import SERROR_OFFSET
from vcpu_scenario.machine.emulated.cpu.regfile import DAIF, EL1H, PAN, SS
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu

_NZCV = 0xF << 28
_PSTATE = CORE_REGISTERS["pstate"]
_OF_A_WALK = 1 << 2
"""ESR_ELx.FSC of a synchronous external abort on a translation table walk, beside its level."""
_SERROR_ISV = 1 << 24
"""The syndrome of an SError of which the VMM says nothing more."""


def skip_instruction(vcpu: Vcpu) -> None:
    """``kvm_skip_instr``, or ``kvm_incr_pc`` where the pc moves at entry."""
    behaviour = vcpu.behaviour
    if behaviour.pc_adjusted_at_entry:
        vcpu.increment_pc = True
        return
    skip_now(vcpu)


def skip_now(vcpu: Vcpu) -> None:
    cpu = vcpu.cpu
    cpu.regs[32] += 4
    if vcpu.behaviour.skip_clears_ss:
        cpu.clear_ss()


def inject(vcpu: Vcpu, syndrome: int, far: int | None = None, offset: int = 0) -> None:
    """Takes an exception to EL1 now or at the next entry, to the vector at ``offset`` from that of
    a synchronous one."""
    vcpu.cpu.esr_el1.value = syndrome
    if far is not None:
        vcpu.cpu.far_el1.value = far
    if vcpu.behaviour.pc_adjusted_at_entry:
        vcpu.pending_exception = offset
    else:
        take(vcpu, offset)


def take(vcpu: Vcpu, offset: int) -> None:
    cpu, behaviour = vcpu.cpu, vcpu.behaviour
    spsr = cpu.spsr_el1.value
    # What the VMM wrote is KVM's until the vCPU runs, with bits that the CPU has not.
    old = cpu.pstate | vcpu.unloaded.pop(_PSTATE, 0) & ~SS
    cpu.take_to_el1(cpu.esr_el1.value, offset=offset)
    cpu.spsr_el1.value = spsr if behaviour.injected_spsr_lost else old
    # KVM keeps the condition flags; the hardware's own exceptions here do not.
    kept = old & _NZCV | cpu.pstate & PAN if behaviour.injected_flags_kept else 0
    cpu.pstate = DAIF | EL1H | kept


def adjust_pc(vcpu: Vcpu) -> None:
    """``__kvm_adjust_pc``: does what was noted. Either way PSTATE.SS ends up clear."""
    if (offset := vcpu.pending_exception) is not None:
        vcpu.pending_exception = None
        take(vcpu, offset)
    elif vcpu.increment_pc:
        cpu = vcpu.cpu
        cpu.regs[32] += 4
        if cpu.state.value & SS:
            cpu.clear_ss()
    vcpu.increment_pc = False


def inject_undefined(vcpu: Vcpu) -> None:
    inject(vcpu, esr.EC_UNKNOWN << esr.EC_SHIFT | esr.IL)


def inject_abort(vcpu: Vcpu, *, far: int, fetch: bool, level: int | None = None) -> None:
    """A synchronous external abort, on an instruction fetch or a data access, or on a table walk
    for one at that ``level``."""
    syndrome = esr.external_abort(vcpu.cpu.current_el, fetch=fetch)
    if level is not None:
        syndrome |= _OF_A_WALK | level
    if not vcpu.behaviour.injected_il_set:
        # kvm_vcpu_trap_il_is32bit asks the last exit, which there may not have been.
        syndrome &= ~esr.IL | vcpu.cpu.hsr
    if vcpu.behaviour.injected_esr_sign_extended:
        syndrome |= 0xFFFF_FFFF_0000_0000
    inject(vcpu, syndrome, far)


def pend_serror(vcpu: Vcpu, syndrome: int | None = None) -> None:
    """``pend_guest_serror``: one that the CPU takes once the guest lets it. Only a CPU with the RAS
    extension has a register for the syndrome that the guest is to see."""
    syndrome = _SERROR_ISV if syndrome is None else syndrome
    vcpu.cpu.vserror = syndrome if vcpu.model.ras else 0
    vcpu.cpu.attended = True
    vcpu.cpu.serror_is_seen = not vcpu.behaviour.pkvm_serror_lost


def inject_unmasked_serror(vcpu: Vcpu, syndrome: int | None = None) -> None:
    """``pend_serror_exception``: an SError that KVM takes to the guest's vector itself."""
    iss = _SERROR_ISV if syndrome is None else syndrome
    syndrome = esr.EC_SERROR << esr.EC_SHIFT | iss
    if vcpu.behaviour.injected_il_set:
        syndrome |= esr.IL
    inject(vcpu, syndrome, offset=SERROR_OFFSET)

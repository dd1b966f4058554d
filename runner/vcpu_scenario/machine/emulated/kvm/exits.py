"""What KVM does with each exception that reaches EL2: one handler for each class."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu import decode, icv
from vcpu_scenario.machine.emulated.cpu.hardware import EXIT_IRQ
from vcpu_scenario.machine.emulated.cpu.native import iss_encoding
from vcpu_scenario.machine.emulated.kvm import hypicc
from vcpu_scenario.machine.emulated.kvm.debugregs import access_untrapped
from vcpu_scenario.machine.emulated.kvm.hypercalls import (
    SMCCC_WORKAROUND_1,
    SMCCC_WORKAROUND_2,
    SMCCC_WORKAROUND_3,
    handle_hvc,
    handle_smc,
)
from vcpu_scenario.machine.emulated.kvm.inject import pend_serror, skip_instruction
from vcpu_scenario.machine.emulated.kvm.mmio import handle_guest_abort
from vcpu_scenario.machine.emulated.kvm.sysregs import handle_sys64
from vcpu_scenario.machine.emulated.kvm.vcpu import Handler, Vcpu
from vcpu_scenario.machine.emulated.kvm.wait import block
from vcpu_scenario.machine.emulated.vgic import VgicV2, VgicV3

EXIT_SERROR: Final = -2
"""``ARM_EXCEPTION_EL1_SERROR``: hyp promoted an illegal access to an SError."""

_EXIT_DEBUG: Final = abi.KVM_EXIT_DEBUG

FAKED_STEP: Final = esr.EC_SOFTSTP_LOW << esr.EC_SHIFT
_FAKED_STEP_IN_HYP: Final = FAKED_STEP | 0x22


def handle_exit(vcpu: Vcpu, exception: int) -> int:
    """``handle_exit``. Above 0 re-enters, 0 returns to userspace, below is -errno."""
    if exception < 0:
        if exception == EXIT_SERROR:
            pend_serror(vcpu)
        return 1
    handled = _HANDLERS[exception](vcpu)
    if handled > 0 and vcpu.behaviour.step_exit_faked and fake_step_exit(vcpu):
        return 0
    return handled


def fake_step_exit(vcpu: Vcpu) -> bool:
    """``kvm_arm_handle_step_debug``: reports a step that the hardware did not."""
    if not vcpu.stepping:
        return False
    report_debug(vcpu, FAKED_STEP)
    return True


def report_debug(vcpu: Vcpu, hsr: int) -> None:
    run, debug = vcpu.run, vcpu.debug_exit
    run.exit_reason = _EXIT_DEBUG
    debug.hsr = hsr  # of which a word holds the lower half
    if vcpu.behaviour.debug_hsr_high:
        debug.hsr_high = hsr >> 32
        run.flags = abi.KVM_DEBUG_ARCH_HSR_HIGH_VALID


def _handle_guest_debug(vcpu: Vcpu) -> int:
    report_debug(vcpu, vcpu.cpu.hsr)
    return 0


def _handle_watchpoint(vcpu: Vcpu) -> int:
    """The same with the address, which KVM took from FAR_EL2 only later on."""
    if vcpu.behaviour.watchpoint_far:
        vcpu.fault_far = vcpu.cpu.far
    vcpu.debug_exit.far = vcpu.fault_far
    return _handle_guest_debug(vcpu)


def _handle_wfx(vcpu: Vcpu) -> int:
    """WFI blocks until an interrupt or a signal comes; then the instruction is done."""
    block(vcpu)
    skip_instruction(vcpu)
    return 1


_HANDLERS: Final[dict[int, Handler]] = {
    esr.EC_WFX: _handle_wfx,
    esr.EC_HVC64: handle_hvc,
    esr.EC_SMC64: handle_smc,
    esr.EC_SYS64: handle_sys64,
    esr.EC_IABT_LOW: handle_guest_abort,
    esr.EC_DABT_LOW: handle_guest_abort,
    esr.EC_SOFTSTP_LOW: _handle_guest_debug,
    esr.EC_WATCHPT_LOW: _handle_watchpoint,
    esr.EC_BREAKPT_LOW: _handle_guest_debug,
    esr.EC_BKPT32: _handle_guest_debug,
    esr.EC_BRK64: _handle_guest_debug,
}


# -- what hyp settles before it returns to the host ----------------------------------------------


def maybe_settled_in_hyp(behaviour: Behaviour) -> frozenset[int]:
    """The exceptions that :func:`fixup_guest_exit` has to be shown."""
    found = [esr.EC_HVC64, esr.EC_SYS64]
    if behaviour.gicv_trapped:
        found.append(esr.EC_DABT_LOW)
    return frozenset(found)


def fixup_guest_exit(vcpu: Vcpu, exception: int) -> int | None:
    """What leaves hyp for the host: an exit, or None where hyp settled it and goes straight back
    into the guest."""
    if exception == esr.EC_HVC64:
        return _workaround_call(vcpu, exception)
    if exception == esr.EC_SYS64:
        left = access_untrapped(vcpu) if vcpu.debug_untrapped else exception
        return _emulate_icc(vcpu, exception) if left == exception else left
    return _emulate_gicv(vcpu, exception)


_IN_HYP: Final = {
    SMCCC_WORKAROUND_1: "smccc_workaround_1_in_hyp",
    SMCCC_WORKAROUND_2: "smccc_workaround_2_in_hyp",
    SMCCC_WORKAROUND_3: "smccc_workaround_3_in_hyp",
}


def _workaround_call(vcpu: Vcpu, exception: int) -> int | None:
    """SMCCC_ARCH_WORKAROUND_1 to 3 are answered in the exception vector, to be fast."""
    cpu = vcpu.cpu
    rule = _IN_HYP.get(cpu.x(0) & 0xFFFF_FFFF)
    if rule is None or not getattr(vcpu.behaviour, rule):
        return exception
    cpu.set_x(0, 0)
    cpu.set_x(1, 0)
    return None


def _emulate_gicv(vcpu: Vcpu, exception: int) -> int | None:
    """``__vgic_v2_perform_cpuif_access`` with the CPU interface's trapping on."""
    cpu, gic = vcpu.cpu, vcpu.gic
    if not isinstance(gic, VgicV2) or not cpu.hsr & decode.ISV:
        return exception
    base, size = gic.mapped()
    offset = (cpu.ipa | cpu.far & 0xFFF) - base
    if not 0 <= offset < size:
        return exception
    length, rt = 1 << (cpu.hsr >> 22 & 3), cpu.hsr >> 16 & 31
    is_write = bool(cpu.hsr & decode.WNR)
    ok, value = gic.gicv_emulated(offset, length, is_write, 0 if rt == 31 else cpu.x(rt))
    if not ok:
        # An illegal access is promoted to an SError, and skipped.
        _skip_in_hyp(vcpu)
        return EXIT_SERROR
    if not is_write:
        cpu.set_x(rt, value)
    return _settled(vcpu)


def _emulate_icc(vcpu: Vcpu, exception: int) -> int | None:
    """``__vgic_v3_perform_cpuif_access``: what it does not know is the host's to emulate."""
    cpu, gic = vcpu.cpu, vcpu.gic
    iss = cpu.hsr & 0x1FFFFFF
    encoding, is_read, rt = iss_encoding(iss), bool(iss & 1), iss >> 5 & 31
    trapped = vcpu.behaviour.gicv3_trapped and encoding in icv.TRAPPED[is_read]
    if not trapped or not isinstance(gic, VgicV3):
        return exception
    if is_read:
        cpu.set_x(rt, hypicc.read(gic.cpuif, encoding))
    else:
        value = 0 if rt == 31 else cpu.x(rt)
        if encoding == sysregs.ICC_DIR_EL1 and gic.deactivation_leaves_hyp(value & 0xFFFF_FFFF):
            return exception
        hypicc.write(gic.cpuif, encoding, value, vcpu.behaviour)
    cpu.sync_interrupt_lines()
    return _settled(vcpu)


def _settled(vcpu: Vcpu) -> int | None:
    """The guest continues behind an access that hyp has done."""
    cpu = vcpu.cpu
    _skip_in_hyp(vcpu)
    if vcpu.behaviour.hyp_skip_faked and vcpu.stepping:
        cpu.hsr = _FAKED_STEP_IN_HYP
        return esr.EC_SOFTSTP_LOW
    # The maintenance interrupt that the access may have raised comes before a pending step.
    return EXIT_IRQ if vcpu.gic is not None and vcpu.gic.maintenance() else None


def _skip_in_hyp(vcpu: Vcpu) -> None:
    cpu = vcpu.cpu
    cpu.pc += 4
    if vcpu.behaviour.skip_clears_ss:
        cpu.clear_ss()

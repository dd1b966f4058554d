"""Waiting for an interrupt."""

from __future__ import annotations

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu.timers import TICKS_OF_A_SECOND
from vcpu_scenario.machine.emulated.kvm import timerlines
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def block(vcpu: Vcpu) -> None:
    """``kvm_vcpu_block``. Nothing else runs beside this vCPU, so that but for a timer what is not
    pending when it blocks never comes, and the time limit's signal ends the wait."""
    _wait(vcpu, vcpu.cpu.timers.clock.count + int(vcpu.seconds * TICKS_OF_A_SECOND))


def go_on(vcpu: Vcpu) -> None:
    """Waits on where the last turn ended during a wait. A turn of a real machine is long, and a
    wait for a timer is over in it, where the turns here are short."""
    until, vcpu.until = vcpu.until, None
    if until is not None and vcpu.turn is not None and until > vcpu.cpu.timers.clock.count:
        _wait(vcpu, until)


def _wait(vcpu: Vcpu, until: int) -> None:
    timers = vcpu.cpu.timers
    if _ends(vcpu):
        return
    while timers.in_use and timerlines.wait_for_next(timers, _patience(vcpu, until)):
        if _ends(vcpu):
            return
        timerlines.update(vcpu)
    vcpu.signal_pending = vcpu.waits = True
    left, now = timerlines.left_of_next(timers), timers.clock.count
    vcpu.wakes = None if left is None else now + left
    vcpu.until = until if left is not None and now < until else None


def _patience(vcpu: Vcpu, until: int) -> int:
    """For how many ticks it waits now: in a turn, where another vCPU has something to do, no longer
    than that is here; where all others are off or wait too, until the first of them is woken by
    its timer."""
    now = vcpu.cpu.timers.clock.count
    longest = until - now
    if vcpu.turn is None:
        return longest
    for other in vcpu.vm.vcpus:
        if other is vcpu or other.mp_state == abi.KVM_MP_STATE_STOPPED:
            continue
        if not other.waits or _woken(other, now):
            return min(vcpu.turn, longest)
        if other.wakes is not None:
            longest = min(longest, other.wakes - now)
    return longest


def _woken(other: Vcpu, now: int) -> bool:
    """Whether one that is not on the CPU, and that waited when it was, has an interrupt since."""
    if other.pending_reset is not None or (other.wakes is not None and other.wakes <= now):
        return True
    return other.gic is not None and other.gic.pending_for_vcpu()


def _ends(vcpu: Vcpu) -> bool:
    """``kvm_vcpu_check_block``, but for signals."""
    return has_interrupt(vcpu) or (
        vcpu.behaviour.wfi_ended_by_timer and timerlines.is_up(vcpu.cpu.timers)
    )


def has_interrupt(vcpu: Vcpu) -> bool:
    """Whether an interrupt is there for which a WFI ends (``kvm_arch_vcpu_runnable``)."""
    timers = vcpu.cpu.timers
    if vcpu.gic is None:
        told = not vcpu.behaviour.wfi_ended_by_untold_timer or timerlines.as_told(timers)
        return vcpu.cpu.is_raised or not told
    if timers.in_use:
        timerlines.update(vcpu)
    return bool(vcpu.gic.pending_for_vcpu())

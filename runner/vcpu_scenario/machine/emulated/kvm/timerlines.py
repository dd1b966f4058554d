"""The timers' interrupts: lines of the vGIC, or news for a VMM that has the controller itself."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.cpu.timers import Timers
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def update(vcpu: Vcpu) -> bool:
    """``kvm_timer_update_irq`` for both. Whether a line changed."""
    timers = vcpu.cpu.timers
    changed = False
    ppis = vcpu.vm.timer_ppis[:2]
    for intid, timer in zip(ppis, (timers.virtual, timers.physical), strict=True):
        if timer.output is not timer.line:
            timer.line, changed = timer.output, True
            if vcpu.gic is not None:
                vcpu.gic.drive(intid, timer.line)
    return changed


def tells_userspace(vcpu: Vcpu) -> bool:
    """``kvm_timer_should_notify_user``: whether ``KVM_RUN`` returns for a line that changed."""
    return update(vcpu) and vcpu.gic is None


def as_told(timers: Timers) -> bool:
    """Whether the lines are as userspace was told (not ``kvm_timer_should_notify_user``)."""
    return all(timer.output is timer.line for timer in (timers.virtual, timers.physical))


def is_up(timers: Timers) -> bool:
    """``kvm_timer_is_pending``: whether one has fired."""
    return timers.virtual.output or timers.physical.output


def left_of_next(timers: Timers) -> int | None:
    """Ticks until a timer fires that has not; None where none does."""
    waits = [each.left for each in (timers.virtual, timers.physical) if each.armed and each.left]
    return min(waits, default=None)


def wait_for_next(timers: Timers, patience: int) -> bool:
    """Time goes by until a timer fires that has not, or for so many ticks. Whether one has
    fired."""
    left = left_of_next(timers)
    if left is None or left > patience:
        timers.clock.count += patience
        return False
    timers.clock.count += left
    return True

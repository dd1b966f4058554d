"""What KVM maintains before an entry and after an exit, but for what every vCPU has: the vGIC,
timers in use, the PMU, the stolen time, signals, debug state that changed, and whether the vCPU
was stopped. It is all in :attr:`.vcpu.Vcpu.company`: nothing here is called while that is empty.
"""

from __future__ import annotations

from errno import EINTR

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm import guestdebug, stealtime, timerlines, userlines
from vcpu_scenario.machine.emulated.kvm.mpstate import wait_to_run
from vcpu_scenario.machine.emulated.kvm.power import reset_at_once
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.wait import go_on


def load(vcpu: Vcpu) -> None:
    """At the start of ``KVM_RUN`` (``kvm_arch_vcpu_load``)."""
    if vcpu.pending_reset is not None:
        reset_at_once(vcpu)
    if vcpu.pmu is not None:
        vcpu.pmu.load()
    if vcpu.gic is not None:
        vcpu.gic.cpuif.load()


def begin(vcpu: Vcpu) -> None:
    """Before the first entry."""
    stealtime.update(vcpu)
    if vcpu.until is not None:
        go_on(vcpu)


def flush(vcpu: Vcpu) -> int | None:
    """Before each entry. None, or what ``KVM_RUN`` returns instead."""
    if vcpu.mp_state != abi.KVM_MP_STATE_RUNNABLE and not vcpu.signal_pending and wait_to_run(vcpu):
        return 0
    gic, pmu = vcpu.gic, vcpu.pmu
    if vcpu.cpu.timers.in_use and timerlines.tells_userspace(vcpu):
        vcpu.signal_pending = True
    if pmu is not None and pmu.update() and gic is None:
        vcpu.signal_pending = True
    if gic is not None:
        gic.flush()
    if vcpu.signal_pending:
        if gic is not None:
            gic.sync()
        vcpu.run.exit_reason = abi.KVM_EXIT_INTR
        return -EINTR
    if vcpu.debug_changed:
        guestdebug.program(vcpu)
    if vcpu.loads_vmcr and vcpu.cpu.gic is not None:  # __vgic_v3_activate_traps
        vcpu.cpu.gic.cpuif.load()
        vcpu.loads_vmcr = False
    return None


def sync(vcpu: Vcpu) -> None:
    """After each exit, before it is handled."""
    gic, pmu = vcpu.gic, vcpu.pmu
    if gic is None:
        return
    gic.sync()
    if vcpu.cpu.timers.in_use:
        timerlines.update(vcpu)
    if pmu is not None:
        pmu.update()


def tell_user(vcpu: Vcpu) -> None:
    """After the last exit, where the VMM has the interrupt controller."""
    if vcpu.gic is None and (vcpu.cpu.timers.in_use or vcpu.pmu is not None):
        userlines.update_run(vcpu)


def put(vcpu: Vcpu) -> None:
    """At the end of ``KVM_RUN`` (``kvm_arch_vcpu_put``)."""
    if vcpu.pmu is not None:
        vcpu.pmu.fold()
    vcpu.signal_pending = False
    vcpu.host_interrupt = False

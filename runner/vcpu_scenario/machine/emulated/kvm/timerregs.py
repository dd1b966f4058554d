"""The generic timers as registers of a VMM (``KVM_REG_ARM_TIMER_*``, ``KVM_REG_ARM_PTIMER_*``),
and the physical one's as the guest has them.

In the uAPI the ids of the virtual timer's CVAL and of its counter are swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import sys_reg
from vcpu_scenario.machine.emulated.cpu.timers import ENABLE, IMASK, ISTATUS, Timer
from vcpu_scenario.machine.emulated.kvm.access import Access
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import NotModelled

Of = Callable[[Vcpu], Timer]
_CNTV_CTL: Final = sys_reg(*sysregs.CNTV_CTL_EL0)
_CNTP_CTL: Final = sys_reg(*sysregs.CNTP_CTL_EL0)
_CTL, _CVAL, _TVAL = (
    register[4] for register in (sysregs.CNTP_CTL_EL0, sysregs.CNTP_CVAL_EL0, sysregs.CNTP_TVAL_EL0)
)
_WORD: Final = (1 << 64) - 1


def timer_registers(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    control = _loaded_control if behaviour.timer_control_plain else _control
    yield _CNTV_CTL, control(_virtual, _CNTV_CTL)
    yield sys_reg(*sysregs.CNTV_CVAL_EL0), _count(_virtual)
    yield sys_reg(*sysregs.CNTVCT_EL0), _compare(_virtual)
    if behaviour.physical_timer_registers:
        yield _CNTP_CTL, control(_physical, _CNTP_CTL)
        yield sys_reg(*sysregs.CNTPCT_EL0), _count(_physical)
        yield sys_reg(*sysregs.CNTP_CVAL_EL0), _compare(_physical)


def access_physical(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """``access_arch_timer``, which shows ISTATUS whether or not the timer is enabled; or the CPU's,
    which does not."""
    timer = _physical(vcpu)
    register = encoding[4]
    if register == _TVAL and not _on_cpu(vcpu, _physical):
        return _emulated_tval(vcpu, timer, value)
    if value is not None:
        _write_physical(vcpu, register, value)
        return None
    if register == _CTL:
        vcpu.cpu.timers.clock.read()
        shown = timer.met and (timer.control & ENABLE or not _on_cpu(vcpu, _physical))
        return timer.control | (ISTATUS if shown else 0)
    return timer.compare if register == _CVAL else timer.value()


def _emulated_tval(vcpu: Vcpu, timer: Timer, value: int | None) -> int | None:
    """CNTP_TVAL_EL0 of the timer that KVM emulates, of which the releases before 5.6 took and gave
    64 bits."""
    if not vcpu.behaviour.physical_tval_seen:
        raise NotModelled("CNTP_TVAL_EL0 of 5.1")
    word = vcpu.behaviour.physical_tval_word
    if value is None:
        return timer.value() if word else timer.compare - timer.count() & _WORD
    if word:
        timer.set_value(value)
    else:
        timer.set_compare(timer.count() + value)
    return None


def _write_physical(vcpu: Vcpu, register: int, value: int) -> None:
    timer = _physical(vcpu)
    if register == _CTL:
        control = value & 0xFFFF_FFFF & ~ISTATUS
        vcpu.cpu.timers.set_control(timer, control, _kept(vcpu, _physical))
    elif register == _CVAL:
        timer.set_compare(value)
    else:
        timer.set_value(value)


def _virtual(vcpu: Vcpu) -> Timer:
    return vcpu.cpu.timers.virtual


def _physical(vcpu: Vcpu) -> Timer:
    return vcpu.cpu.timers.physical


def _on_cpu(vcpu: Vcpu, of: Of) -> bool:
    """Whether the CPU has the timer while the vCPU runs: with VHE the physical one as well."""
    return of is _virtual or vcpu.model.armv8_2  # the CPUs of which have VHE here


def _kept(vcpu: Vcpu, of: Of) -> int:
    """The CPU has two bits of a control register; where it is never loaded there, KVM has all."""
    return ENABLE | IMASK if _on_cpu(vcpu, of) else -1


def _control(of: Of, reg: int) -> Access:
    """KVM shows ISTATUS whether or not the timer is enabled, and keeps 32 bits."""

    def read(vcpu: Vcpu) -> int:
        timer = of(vcpu)
        return vcpu.unloaded.get(reg, timer.control) | (ISTATUS if timer.met else 0)

    return read, lambda vcpu, value: _set_control(vcpu, of, reg, value & 0xFFFF_FFFF)


def _loaded_control(of: Of, reg: int) -> Access:
    """The control register as it was written; of a timer that the CPU has while the vCPU runs as
    KVM reads it back after."""

    def read(vcpu: Vcpu) -> int:
        if (written := vcpu.unloaded.get(reg)) is not None:
            return written
        timer = of(vcpu)
        loaded = vcpu.has_run and _on_cpu(vcpu, of)
        status = loaded and timer.control & ENABLE and timer.met
        return timer.control | (ISTATUS if status else 0)

    return read, lambda vcpu, value: _set_control(vcpu, of, reg, value)


def _set_control(vcpu: Vcpu, of: Of, reg: int, value: int) -> None:
    value &= ~ISTATUS
    vcpu.cpu.timers.set_control(of(vcpu), value, _kept(vcpu, of))
    if _on_cpu(vcpu, of):
        vcpu.unloaded[reg] = value


def physical_moved(vcpu: Vcpu, *, moved: bool) -> None:
    """Reads of the physical counter trap to hyp once it has an offset, which pKVM's knows not."""
    clock = vcpu.cpu.timers.clock
    clock.unmoved = vcpu.behaviour.pkvm_vm_copied
    clock.trapped = moved and not clock.unmoved


def _count(of: Of) -> Access:
    def write(vcpu: Vcpu, value: int) -> None:
        if vcpu.vm.counter_offset:
            return
        if of is _physical:
            physical_moved(vcpu, moved=vcpu.behaviour.counter_offset)
        of(vcpu).set_count(value)

    return lambda vcpu: of(vcpu).count(), write


def _compare(of: Of) -> Access:
    return lambda vcpu: of(vcpu).compare, lambda vcpu, value: of(vcpu).set_compare(value)

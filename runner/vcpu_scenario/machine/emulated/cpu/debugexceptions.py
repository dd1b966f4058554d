"""Steps and breakpoints as the hardware has them, where Unicorn's exception is another."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.machine.emulated.cpu.aborts import fetch_abort_at
from vcpu_scenario.machine.emulated.cpu.controls import MDCR_TDE
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware

_BREAKPOINT: Final = esr.EC_BREAKPT_LOW << esr.EC_SHIFT | esr.IL | 0x22


class NotHandled(Exception):
    """The instruction is UNDEFINED on the hardware too."""


def software_step(cpu: Hardware) -> int | None:
    """KVM's step."""
    return pending_step(cpu) if cpu.hsr == esr.STEP_PENDING else esr.EC_SOFTSTP_LOW


def own_step(cpu: Hardware) -> int | None:
    """The guest's own."""
    if cpu.hsr & esr.STEP_ISV:
        raise NotHandled
    return pending_step(cpu)


def pending_step(cpu: Hardware) -> int | None:
    """A pending step waits for the fetch of its instruction, which may abort first."""
    ipa = cpu.translate_fetch(cpu.pc)
    if ipa is not None:
        slot = cpu.stage2.slot_at(ipa)
        if slot is None or not slot.maps(ipa):
            return fetch_abort_at(cpu, ipa)
    return cpu.step_exception(esr.STEP_PENDING)


def breakpoint_hit(cpu: Hardware) -> int | None:
    """A pending step comes before a breakpoint on the same instruction."""
    return pending_step(cpu) if cpu.step_due else esr.EC_BREAKPT_LOW


def breakpoint_at(cpu: Hardware) -> int | None:
    """The exception of a breakpoint that Unicorn did not come to."""
    cpu.hsr = _BREAKPOINT
    if cpu.mdcr & MDCR_TDE:
        return esr.EC_BREAKPT_LOW
    cpu.hsr += cpu.current_el << esr.EC_SHIFT
    return own_breakpoint(cpu)


def own_breakpoint(cpu: Hardware) -> int | None:
    """The guest's own, with which QEMU clears the address."""
    if cpu.step_due:
        return pending_step(cpu)
    cpu.take_to_el1(cpu.hsr, 0)
    return None

"""The exception that a VMM makes its guest take by writing registers, as QEMU and kvmtool do."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm.registers import CORE_REGISTERS, sys_reg
from vcpu_scenario.machine.interface import Machine

_MODE_MASK: Final = 0xF
_EL1T: Final = 0b0100
_EL1H_MASKED: Final = 0x3C5
"""PSTATE at an exception: EL1h, with D, A, I and F set."""


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

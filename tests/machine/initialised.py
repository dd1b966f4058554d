"""A machine whose vCPU may be asked for its registers."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create


def initialised(kernel: str) -> EmulatedMachine:
    """Of ``kernel``, after ``KVM_ARM_VCPU_INIT``."""
    machine = create(kernel)
    machine.vcpu_init(("psci_0_2",))
    return machine

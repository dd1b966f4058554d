"""Features of a vCPU, ``KVM_ARM_VCPU_*``, by their names in lower case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vcpu_scenario.kvm import abi

PSCI_0_2: Final = "psci_0_2"
POWER_OFF: Final = "power_off"
FEATURES: Final = {
    PSCI_0_2: abi.KVM_ARM_VCPU_PSCI_0_2,
    POWER_OFF: abi.KVM_ARM_VCPU_POWER_OFF,
}
"""The bit of each in ``kvm_vcpu_init.features``."""


def bits_of(features: Iterable[str]) -> int:
    """The first word of ``kvm_vcpu_init.features``."""
    return sum(1 << FEATURES[name] for name in set(features))

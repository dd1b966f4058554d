"""Features of a vCPU, ``KVM_ARM_VCPU_*``, by their names in lower case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vcpu_scenario.kvm import abi

PSCI_0_2: Final = "psci_0_2"
POWER_OFF: Final = "power_off"
PMU_V3: Final = "pmu_v3"
FEATURES: Final = {
    PSCI_0_2: abi.KVM_ARM_VCPU_PSCI_0_2,
    POWER_OFF: abi.KVM_ARM_VCPU_POWER_OFF,
    PMU_V3: abi.KVM_ARM_VCPU_PMU_V3,
}
"""The bit of each in ``kvm_vcpu_init.features``."""
NEEDS: Final = {PMU_V3: ("KVM_CAP_ARM_PMU_V3", 126)}
"""The capabilities without which a host does not have some of them, by name and number."""


def bits_of(features: Iterable[str]) -> int:
    """The first word of ``kvm_vcpu_init.features``."""
    return sum(1 << FEATURES[name] for name in set(features))

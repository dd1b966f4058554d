"""``KVM_GET_REG_LIST``: which registers a release has for a VMM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import CORE_WORDS, core_reg, is_core
from vcpu_scenario.machine.emulated.kvm.access import Access

IDENTITIES: Final = tuple((3, 0, 0, crm, op2) for crm in range(1, 8) for op2 in range(8))
_INVARIANT: Final = IDENTITIES[:14]
"""ID_PFR0_EL1 to ID_ISAR5_EL1."""


def absent(behaviour: Behaviour) -> Iterator[Encoding]:
    """System registers that only other releases have for a VMM."""
    if not behaviour.id_registers_listed:
        yield from (id_ for id_ in IDENTITIES if id_ not in _INVARIANT)
    if behaviour.zfr0_hidden:
        yield sysregs.ID_AA64ZFR0_EL1
    if not behaviour.disr_listed:
        yield sysregs.DISR_EL1
    if not behaviour.pmcr_listed:
        yield sysregs.PMCR_EL0


def listed(behaviour: Behaviour, registers: Mapping[int, Access]) -> tuple[int, ...]:
    """``KVM_GET_REG_LIST``."""
    ids = tuple(registers)
    if behaviour.core_ids_listed:
        return ids
    words = (core_reg(4 * word) for word in range(CORE_WORDS))
    return (*words, *(reg for reg in ids if not is_core(reg)))

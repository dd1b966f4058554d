"""What tells the guests of a lab apart, and which one a case wants."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from vcpu_scenario.case import Case
from vcpu_scenario.ioctls.devices import CreateVgic
from vcpu_scenario.kvm.features import PMU_V3
from vcpu_scenario.machine.real.lab.qemu import GicVersion

_MSR_PMCCNTR: Final = re.compile(rb"[\x00-\x1f]\x9d\x1b\xd5")
"""MSR PMCCNTR_EL0 from any register, as it lies in memory (Arm ARM, C5.1.2)."""


class Kind(NamedTuple):
    """``vmm`` is the one that is carried, if one is."""

    gic: GicVersion
    vmm: str = ""
    sets_cycles: bool = False
    """It is for one case alone, whose guest sets its cycle counter: after other VMs that counted
    in the same boot, the overflow may be lost under QEMU 7.2."""


def kind_for(case: Case) -> Kind:
    return Kind(gic_for(case), sets_cycles=_sets_cycles(case))


def gic_for(case: Case) -> GicVersion:
    """The GIC that a host has to have for it."""
    if case.gic is not None:
        return case.gic.version
    created = (action for action in case.all_actions() if isinstance(action, CreateVgic))
    return next((action.version for action in created), 3)


def _sets_cycles(case: Case) -> bool:
    """Whether the guest of ``case`` sets the cycle counter of its PMU."""
    return PMU_V3 in case.features and any(
        (load.addr + found.start()) % 4 == 0
        for load in case.loads
        for found in _MSR_PMCCNTR.finditer(load.data)
    )

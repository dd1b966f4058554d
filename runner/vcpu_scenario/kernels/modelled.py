"""What is modelled of some releases alone: nobody has seen it on the others, which is no rule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from vcpu_scenario.kernels.release import Release, parse_range

MODELLED: Final[Mapping[str, tuple[str, ...]]] = {
    "pmu_seen": (">=5.10",),
    "its_seen": (">=5.10",),
    "reg_masks_seen": ("6.12", "6.16..6.17", "7.2"),
    "gicv2_pending_told_to_vmm": ("<5.17", ">=5.19"),
    "timer_line_taken_on_enable": (">=5.3",),
    "physical_tval_seen": ("<5.1", ">=5.2"),
}
"""By the switch of :class:`~vcpu_scenario.kernels.behaviour.Behaviour`: a vCPU with
KVM_ARM_VCPU_PMU_V3, an ITS, and what KVM_ARM_GET_REG_WRITABLE_MASKS gives, as Debian's kernels were
recorded. From 5bfa685e62e9 in 5.17 until 2cdea19a34c2 in 5.19 (5.18.6) a VMM that read whether a
GICv2's timer interrupt was pending made KVM ask the timer of no vCPU, which ends the host. Before
16e604a437c8 (5.3) an interrupt of a timer that had fired and stopped while it was disabled is
pending when it is enabled, until KVM looks at the timer again. In 5.1, before 8fa761624871 (5.2 and
5.1.6), CNTP_TVAL_EL0 of the timer that KVM emulates is wrong in a way that was not read."""


@lru_cache(maxsize=256)
def modelled(release: Release) -> frozenset[str]:
    """What of :data:`MODELLED` there is on the release."""
    plain = Release(release.numbers)
    return frozenset(what for what, texts in MODELLED.items() if parse_range(texts).admits(plain))

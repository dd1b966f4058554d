"""``GICD_IIDR`` as a VMM writes it: the revision of the implementation that it wants."""

from __future__ import annotations

from errno import EINVAL
from typing import Final

from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.mmio import Refused

_REVISION: Final = 0xF000
IIDR: Final = 0x4B00_043B
"""KVM's implementation by Arm, revision 0: of distributors, redistributors and ITSs."""


def restore_revision(gic: Interrupts, value: int) -> None:
    """Raises :class:`Refused` for a revision that there is not, or where anything else differs."""
    if (IIDR ^ value) & ~_REVISION:
        raise Refused(EINVAL)
    features, distributor = gic.features, gic.distributor
    if features.revision_stays:
        return
    wanted = (value & _REVISION) >> 12
    if not 2 <= wanted <= features.implementation_revision:
        raise Refused(EINVAL)
    distributor.revision = wanted

"""``GICD_IIDR`` as a VMM writes it: the revision of the implementation that it wants."""

from __future__ import annotations

from errno import EINVAL
from typing import Final

from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.mmio import Refused

_REVISION: Final = 0xF000


def restore_revision(gic: Interrupts, fixed: int, value: int) -> None:
    """Raises :class:`Refused`; ``fixed`` is what the register has beside its revision."""
    if (fixed ^ value) & ~_REVISION:
        raise Refused(EINVAL)
    features, distributor = gic.features, gic.distributor
    if features.revision_stays:
        return
    wanted = (value & _REVISION) >> 12
    if not 2 <= wanted <= features.implementation_revision:
        raise Refused(EINVAL)
    distributor.revision = wanted

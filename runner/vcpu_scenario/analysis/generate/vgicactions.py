"""What a VMM does with the vGIC of a generated case: its device attributes, and irqfds."""

from __future__ import annotations

from random import Random
from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate.course import WIDER_ACTIONS, Course, Make, set_irq_line
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.ioctls.attributes import DeviceAttr, GetDeviceAttr, SetDeviceAttr
from vcpu_scenario.ioctls.devices import Irqfd, ReadResamples, RemoveIrqfd, SignalIrqfd
from vcpu_scenario.kvm import vgicattrs as attrs

_GSIS: Final = (0, 1, 8, 31)
_OF_SPIS: Final = (0x84, 0x104, 0x184, 0x204, 0x284, 0x304, 0x384)
"""From GICD_IGROUPR1 to GICD_ICACTIVER1."""
_ICC: Final = (
    (sysregs.ICC_PMR_EL1, (0, 0x80, 0xF0)),
    (sysregs.ICC_IGRPEN0_EL1, (0, 1)),
    (sysregs.ICC_IGRPEN1_EL1, (0, 1)),
    (sysregs.ICC_CTLR_EL1, (0x8C00, 0x8C02, 0x8C01, 0x8C03)),
    (sysregs.ICC_AP1R0_EL1, (0, 1, 0x10000)),
)
_GICC: Final = ((0x0, (0, 1, 3, 0x201)), (0x4, (0, 0x10, 0x1E)), (0xD0, (0, 1)))


def _set(course: Course) -> c.Action:
    if course.around.gic is None:
        return set_irq_line(course)
    group, attribute, value = _written(course.random, course.around.gic.version)
    return SetDeviceAttr(DeviceAttr("vgic", group, attribute), value)


def _written(random: Random, version: int) -> tuple[int, int, int]:
    """Group, attribute and value."""
    kind = random.random()
    if kind < 0.5:
        offset, value = random.choice(_OF_SPIS), random.getrandbits(32)
        if random.random() < 0.6:
            value &= 0x8000_0103
        return attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, value
    if kind < 0.65:
        return attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, random.choice((0, 1, 2, 3))
    if kind < 0.75:
        offset = random.choice((0x420, 0x428, 0xC08))
        return attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, random.getrandbits(32)
    if version == 2:
        offset, values = random.choice(_GICC)
        return attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS, offset, random.choice(values)
    if kind < 0.85:
        return attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 32, random.getrandbits(32) & 0x8000_0103
    encoding, values = random.choice(_ICC)
    attribute = attrs.sysreg_attribute(encoding)
    return attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attribute, random.choice(values)


def _get(course: Course) -> c.Action:
    if course.around.gic is None:
        return set_irq_line(course)
    group = course.random.choice((attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 7, 5, 2, 6))
    return GetDeviceAttr(DeviceAttr("vgic", group, course.random.choice((0, 8, 32, 0x204))))


def _irqfd(course: Course) -> c.Action:
    random = course.random
    gsi = random.choice(_GSIS)
    kind = random.random()
    if kind < 0.3 and course.around.gic is not None:
        return Irqfd(gsi, resample=random.random() < 0.6)
    if kind < 0.8:
        return SignalIrqfd(gsi)
    return RemoveIrqfd(gsi) if kind < 0.9 else ReadResamples(gsi)


VGIC_ACTIONS: Final[dict[str, Make]] = WIDER_ACTIONS | {
    "set_vgic_attr": (_set, 14),
    "get_vgic_attr": (_get, 2),
    "irqfd": (_irqfd, 14),
}
"""The wider actions, and those of a vGIC with the weight of them all."""

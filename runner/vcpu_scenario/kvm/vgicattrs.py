"""The device attributes of a vGIC (``Documentation/virt/kvm/devices/arm-vgic*.rst``): groups, and
the attributes of each by the names that developers know them by.

Standard library and records only."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.mmioregisters import ITS, cpu_interface, distributor, redistributor
from vcpu_scenario.kvm.deviceattrs import Group, by_name

KVM_DEV_TYPE_ARM_VGIC_V2: Final = 5
KVM_DEV_TYPE_ARM_VGIC_V3: Final = 7
KVM_DEV_TYPE_ARM_VGIC_ITS: Final = 8

KVM_DEV_ARM_VGIC_GRP_ADDR: Final = 0
KVM_DEV_ARM_VGIC_GRP_DIST_REGS: Final = 1
KVM_DEV_ARM_VGIC_GRP_CPU_REGS: Final = 2
KVM_DEV_ARM_VGIC_GRP_NR_IRQS: Final = 3
KVM_DEV_ARM_VGIC_GRP_CTRL: Final = 4
KVM_DEV_ARM_VGIC_GRP_REDIST_REGS: Final = 5
KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS: Final = 6
KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO: Final = 7
KVM_DEV_ARM_VGIC_GRP_ITS_REGS: Final = 8

KVM_VGIC_V2_ADDR_TYPE_DIST: Final = 0
KVM_VGIC_V2_ADDR_TYPE_CPU: Final = 1
KVM_VGIC_V3_ADDR_TYPE_DIST: Final = 2
KVM_VGIC_V3_ADDR_TYPE_REDIST: Final = 3
KVM_VGIC_ITS_ADDR_TYPE: Final = 4
KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: Final = 5

KVM_DEV_ARM_VGIC_CTRL_INIT: Final = 0
KVM_DEV_ARM_ITS_SAVE_TABLES: Final = 1
KVM_DEV_ARM_ITS_RESTORE_TABLES: Final = 2
KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES: Final = 3
KVM_DEV_ARM_ITS_CTRL_RESET: Final = 4

_ADDRESSES: Final = {
    "v2_dist": KVM_VGIC_V2_ADDR_TYPE_DIST,
    "v2_cpu": KVM_VGIC_V2_ADDR_TYPE_CPU,
    "v3_dist": KVM_VGIC_V3_ADDR_TYPE_DIST,
    "v3_redist": KVM_VGIC_V3_ADDR_TYPE_REDIST,
    "v3_redist_region": KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
}
_CONTROLS: Final = {
    "init": KVM_DEV_ARM_VGIC_CTRL_INIT,
    "save_pending_tables": KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
}
_ITS_CONTROLS: Final = {
    "init": KVM_DEV_ARM_VGIC_CTRL_INIT,
    "save_tables": KVM_DEV_ARM_ITS_SAVE_TABLES,
    "restore_tables": KVM_DEV_ARM_ITS_RESTORE_TABLES,
    "reset": KVM_DEV_ARM_ITS_CTRL_RESET,
}


def sysreg_attribute(encoding: sysregs.Encoding) -> int:
    """``KVM_REG_ARM_VGIC_SYSREG_*``: the attribute of a system register of the CPU interface."""
    op0, op1, crn, crm, op2 = encoding
    return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


_ICC: Final = {
    name: sysreg_attribute(encoding)
    for name, encoding in vars(sysregs).items()
    if name.startswith("ICC_")
}

_DIST_REGS: Final = {**distributor(3), **distributor(2)}

GROUPS: Final = by_name(
    Group("addr", KVM_DEV_ARM_VGIC_GRP_ADDR, 8, _ADDRESSES),
    Group("dist_regs", KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 4, _DIST_REGS, True),
    Group("cpu_regs", KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 4, cpu_interface(), True),
    Group("nr_irqs", KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 4),
    Group("ctrl", KVM_DEV_ARM_VGIC_GRP_CTRL, 0, _CONTROLS),
    Group("redist_regs", KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 4, redistributor(), True),
    Group("cpu_sysregs", KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, 8, _ICC, True),
    Group("level_info", KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 4, {}, True),
)
"""By name, ``KVM_DEV_ARM_VGIC_GRP_*`` in lower case."""

ITS_GROUPS: Final = by_name(
    Group("addr", KVM_DEV_ARM_VGIC_GRP_ADDR, 8, {"its": KVM_VGIC_ITS_ADDR_TYPE}),
    Group("ctrl", KVM_DEV_ARM_VGIC_GRP_CTRL, 0, _ITS_CONTROLS),
    Group("its_regs", KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 8, ITS),
)
"""Those of an ITS, a device of its own."""


class Region(Struct, frozen=True):
    """The value of ``KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION``: ``count`` redistributors from ``base``
    on, which :attr:`fits`."""

    base: int
    count: int
    index: int
    flags: int = 0

    @property
    def fits(self) -> bool:
        """The base has no bits but its own: it is a multiple of 64 KiB below 2^52."""
        return self.base & ~_BASE == 0

    @property
    def value(self) -> int:
        return self.count << 52 | self.base | self.flags << 12 | self.index

    @staticmethod
    def of(value: int) -> Region:
        return Region(value & _BASE, value >> 52, value & 0xFFF, value >> 12 & 0xF)


_BASE: Final = 0xF_FFFF_FFFF_0000

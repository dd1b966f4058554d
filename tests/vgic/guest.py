"""A guest's and a VMM's accesses to a vGIC, in KVM's order of flush and sync, without a CPU."""

from __future__ import annotations

from msgspec.structs import replace
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Gic
from vcpu_scenario.machine.emulated.kvm.interrupts import line_of_vgic
from vcpu_scenario.machine.emulated.vgic import Undefined, VgicFeatures, VgicV2, VgicV3

DIST = 0x0800_0000
REDIST = 0x080A_0000
SGI_FRAME = REDIST + 0x10000
CPU = 0x0801_0000
SPI_1 = 0x0100_0021
"""The word of ``KVM_IRQ_LINE`` for SPI 1, INTID 33, as the recorded jobs give it."""

V4_19 = VgicFeatures(
    implementation_revision=2,
    lr_overflow=False,
    traps_dir_with_spis=False,
    gicv_dir_page_trapped=False,
    redistributor_is_one_device=False,
    wfi_heeds_priority=False,
    irq_line_vcpu2=False,
    pendbaser_52bit=False,
    outer_cacheability_same_as_inner=False,
    pendbaser_hides_ptz=False,
)
V4_14 = replace(
    V4_19,
    implementation_revision=0,
    groups_writable=False,
    group0_sgi_registers=False,
    level_active_and_pending=True,
    sgi_sources_together=True,
    sgi_active_source=False,
)
V6_12 = VgicFeatures(
    lr_overflow=False,
    traps_dir_with_spis=False,
    gicv_dir_page_trapped=False,
)
V7_2 = VgicFeatures()


class Guest:
    """A guest that runs: every access to a frame of KVM's exits and enters again."""

    def __init__(self, vgic: VgicV2 | VgicV3) -> None:
        self.vgic = vgic
        self.vgic.flush()

    def exit(self) -> None:
        """Any exit that KVM handles, and the next entry."""
        self.vgic.sync()
        self.vgic.flush()

    def _mmio(self, ipa: int, length: int, is_write: bool, value: int) -> int:
        self.vgic.sync()
        result = self.vgic.mmio(ipa, length, is_write, value)
        self.vgic.flush()
        assert result is not None, f"{ipa:#x} is not in the kernel"
        return result

    def load(self, ipa: int, length: int = 4) -> int:
        return self._mmio(ipa, length, False, 0)

    def store(self, ipa: int, value: int, length: int = 4) -> None:
        assert self._mmio(ipa, length, True, value) == 0

    def irq_line(self, irq: int, level: int) -> int:
        """The VMM's ioctl, between two runs."""
        self.vgic.sync()
        result = line_of_vgic(self.vgic, irq, bool(level))
        self.vgic.flush()
        return result

    def mrs(self, encoding: sysregs.Encoding) -> int:
        value = self.vgic.icc_read(encoding)
        assert not isinstance(value, Undefined)
        self._maintenance()
        return value

    def msr(self, encoding: sysregs.Encoding, value: int) -> None:
        if self.vgic.traps(encoding):
            self.vgic.sync()
            assert self.vgic.icc_write(encoding, value)
            self.vgic.flush()
        else:
            assert self.vgic.icc_write(encoding, value)
        self._maintenance()

    def _maintenance(self) -> None:
        if self.vgic.maintenance():
            self.exit()
            assert not self.vgic.maintenance(), "a maintenance interrupt without end"

    def gicv_load(self, offset: int, length: int = 4) -> int:
        assert isinstance(self.vgic, VgicV2)
        value = self.vgic.gicv(offset, length, False, 0)
        self._maintenance()
        return value

    def gicv_store(self, offset: int, value: int, length: int = 4) -> None:
        assert isinstance(self.vgic, VgicV2)
        assert self.vgic.gicv(offset, length, True, value) == 0
        self._maintenance()


def gicv3(features: VgicFeatures = V7_2) -> Guest:
    return Guest(VgicV3(Gic(version=3, dist=DIST, redist=REDIST), features))


def gicv2(features: VgicFeatures = V7_2) -> Guest:
    return Guest(VgicV2(Gic(version=2, dist=DIST, cpu=CPU), features))


def gicv3_ready(features: VgicFeatures = V7_2) -> Guest:
    """What the jobs irq-* do first: SPI 1 enabled, all priorities let through, group 1 on."""
    guest = gicv3(features)
    guest.store(DIST, 3)
    guest.store(DIST + 0x104, 2)
    guest.store(DIST + 0x84, 2)
    guest.msr(sysregs.ICC_PMR_EL1, 0xF0)
    guest.msr(sysregs.ICC_IGRPEN1_EL1, 1)
    return guest

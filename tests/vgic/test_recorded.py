"""The accesses of recorded jobs, with the values that the guests of real kernels read."""

from __future__ import annotations

import pytest
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.vgic import VgicFeatures, VgicV2

from tests.vgic.guest import (
    CPU,
    DIST,
    REDIST,
    SPI_1,
    V4_14,
    V4_19,
    V6_12,
    V7_2,
    gicv2,
    gicv3,
    gicv3_ready,
)

RELEASES = pytest.mark.parametrize(
    "features", [V4_14, V4_19, V6_12, V7_2], ids=["4.14", "4.19", "6.12", "7.2"]
)


@RELEASES
def test_gicd_init_step(features: VgicFeatures) -> None:
    """B gicd-init-step: the same values from 4.14 to 7.3."""
    guest = gicv3(features)
    guest.store(DIST, 0)
    assert guest.load(DIST + 4) == 0x480001
    guest.store(DIST + 0x84, 0xFFFF_FFFF)
    guest.store(DIST + 0x184, 0xFFFF_FFFF)
    guest.store(DIST + 0x420, 0xA0A0_A0A0)
    assert guest.load(DIST + 0x420) == 0xA0A0_A0A0
    assert guest.load(DIST + 0x421, 1) == 0xA0
    guest.store(DIST + 0x424, 0xA0, 1)
    assert guest.load(DIST + 0x424) == 0xA0
    assert guest.load(DIST + 0xFFE8) == 0x3B
    guest.store(DIST, 0x12)
    assert guest.load(DIST) == 0x52
    assert guest.load(DIST + 0x6108, 8) == 0


@RELEASES
def test_gicd_bad_access(features: VgicFeatures) -> None:
    """B gicd-bad-access: widths that the registers do not take read as zero, without an exit."""
    guest = gicv3(features)
    assert guest.load(DIST + 4, 2) == 0
    assert guest.load(DIST + 4, 1) == 0
    assert guest.load(DIST, 8) == 0
    guest.store(DIST + 4, 0)
    assert guest.load(DIST + 4) == 0x480001


@RELEASES
def test_gicr_step(features: VgicFeatures) -> None:
    """B gicr-step: identification, the 64-bit type register, a waker that never sleeps."""
    guest = gicv3(features)
    assert guest.load(REDIST + 0xFFE8) == 0x3B
    assert guest.load(REDIST + 8, 8) == 0x10
    assert guest.load(REDIST + 0x14) == 0
    guest.store(REDIST + 0x14, 0)
    assert guest.load(REDIST + 0x14) == 0


@RELEASES
def test_gic_gap_mmio(features: VgicFeatures) -> None:
    """B gic-gap-mmio: between the frames there is nothing of the kernel's."""
    assert gicv3(features).vgic.mmio(0x0802_0000, 4, False, 0) is None


@pytest.mark.parametrize(
    ("features", "iidr"), [(V4_14, 0x4B00043B), (V4_19, 0x4B00243B), (V7_2, 0x4B00343B)]
)
def test_iidr(features: VgicFeatures, iidr: int) -> None:
    """A gicv3-kernel-mmio-step, G gicv2-dist-step."""
    for guest, typer in ((gicv3(features), 0x480001), (gicv2(features), 1)):
        assert guest.load(DIST + 4) == typer
        guest.store(DIST, 0)
        assert guest.load(DIST + 8) == iidr


@RELEASES
def test_icc_step(features: VgicFeatures) -> None:
    """B icc-step: the CPU interface's own values, and that only the SGI register exits."""
    guest = gicv3(features)
    assert guest.mrs(sysregs.ICC_SRE_EL1) == 7
    guest.msr(sysregs.ICC_PMR_EL1, 0xF0)
    assert guest.mrs(sysregs.ICC_PMR_EL1) == 0xF0
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 0x3FF
    assert guest.vgic.traps(sysregs.ICC_SGI1R_EL1)
    assert not guest.vgic.traps(sysregs.ICC_CTLR_EL1)
    guest.msr(sysregs.ICC_SGI1R_EL1, 5)
    assert guest.mrs(sysregs.ICC_CTLR_EL1) == 0x8C00


@RELEASES
def test_r1_distributor_accesses(features: VgicFeatures) -> None:
    """R1: what its programs do to a distributor that was never set up."""
    guest = gicv3(features)
    assert guest.load(DIST) == 0x50
    assert guest.load(DIST + 4) == 0x480001
    assert guest.load(DIST + 4, 2) == 0
    assert guest.load(DIST + 0x104) == 0
    assert guest.load(DIST + 0x421, 1) == 0
    assert guest.load(DIST + 0x6108, 8) == 0
    guest.store(DIST + 0x84, 0)
    assert not guest.vgic.virq()


@RELEASES
def test_irq_during_mmio_nostep(features: VgicFeatures) -> None:
    """B irq-during-mmio-nostep: x1=0x21 once, though the line stays high: SPIs start as edge."""
    guest = gicv3_ready(features)
    assert guest.irq_line(SPI_1, 1) == 0
    assert guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 0x21
    assert not guest.vgic.virq()
    guest.msr(sysregs.ICC_EOIR1_EL1, 0x21)
    guest.exit()
    assert not guest.vgic.virq()
    assert guest.irq_line(SPI_1, 0) == 0
    assert not guest.vgic.virq()


@RELEASES
def test_irq_edge_retrigger_step(features: VgicFeatures) -> None:
    """B irq-edge-retrigger-step: a pulse is enough, and a second one while active is kept."""
    guest = gicv3_ready(features)
    guest.irq_line(SPI_1, 1)
    guest.irq_line(SPI_1, 0)
    assert guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 0x21
    guest.exit()
    guest.msr(sysregs.ICC_EOIR1_EL1, 0x21)
    guest.irq_line(SPI_1, 1)
    guest.irq_line(SPI_1, 0)
    assert guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 0x21
    guest.msr(sysregs.ICC_EOIR1_EL1, 0x21)
    assert not guest.vgic.virq()


@RELEASES
def test_gicv2_cpuif_step(features: VgicFeatures) -> None:
    """G gicv2-cpuif-step, on the hardware and emulated by hyp."""
    guest = gicv2(features)
    guest.gicv_store(4, 0xF0)
    assert guest.gicv_load(4) == 0xF0
    assert guest.gicv_load(0xC) == 0x3FF
    assert guest.gicv_load(0xFC) == 0x2043B
    assert isinstance(guest.vgic, VgicV2)
    assert guest.vgic.gicv_emulated(4, 4, False, 0) == (True, 0xF0)
    assert guest.vgic.gicv_emulated(0xC, 4, False, 0) == (True, 0x3FF)
    assert guest.vgic.gicv_emulated(0xFC, 4, False, 0) == (True, 0x2043B)


@RELEASES
def test_gicv2_cpuif_bad(features: VgicFeatures) -> None:
    """G gicv2-cpuif-bad: odd widths reach the hardware, and fail where hyp emulates."""
    guest = gicv2(features)
    assert guest.gicv_load(4, 1) == 0
    assert guest.gicv_load(8, 8) == 0x3FF_0000_0002
    vgic = guest.vgic
    assert isinstance(vgic, VgicV2)
    assert vgic.gicv_emulated(4, 1, False, 0) == (False, 0)
    assert vgic.gicv_emulated(8, 8, False, 0) == (False, 0)
    assert vgic.gicv_emulated(0x1FFC, 4, False, 0) == (True, 0)
    assert vgic.gicv_emulated(0x1000, 4, False, 0) == (True, 0)
    guest.gicv_store(0x7F0, 0)


def test_gicv2_cpuif_bad_dir_page() -> None:
    """G gicv2-cpuif-bad: 7.2 steps over its second page as over an emulated access."""
    guest = gicv2(V7_2)
    assert guest.load(CPU + 0x1FFC) == 0
    assert guest.load(CPU + 0x1000) == 0
    assert guest.vgic.mmio(CPU + 4, 4, False, 0) is None
    before = gicv2(V6_12)
    assert before.vgic.mmio(CPU + 0x1000, 4, False, 0) is None
    assert before.gicv_load(0x1000) == 0


@RELEASES
def test_gicv2_irq_step(features: VgicFeatures) -> None:
    """G gicv2-irq-step: group 0 as an IRQ, acknowledged and ended in the CPU interface."""
    guest = gicv2(features)
    guest.store(DIST, 1)
    guest.store(DIST + 0x104, 2)
    guest.store(DIST + 0x820, 0x100)
    guest.gicv_store(4, 0xF0)
    guest.gicv_store(0, 1)
    guest.irq_line(SPI_1, 1)
    assert guest.vgic.virq()
    assert not guest.vgic.vfiq()
    assert guest.gicv_load(0xC) == 0x21
    assert not guest.vgic.virq()
    guest.gicv_store(0x10, 0x21)
    guest.irq_line(SPI_1, 0)
    assert not guest.vgic.virq()

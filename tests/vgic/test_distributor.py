"""Registers of the distributor and the redistributor."""

from __future__ import annotations

import errno

import pytest
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.kvm.vgicdevice import give_to_timers
from vcpu_scenario.machine.emulated.vgic import VgicFeatures

from tests.vgic.guest import (
    DIST,
    REDIST,
    SGI_FRAME,
    SPI_1,
    V4_14,
    V4_19,
    V6_12,
    V7_2,
    gicv2,
    gicv3,
    gicv3_ready,
)


def test_regions_cover_the_frames() -> None:
    assert gicv3(V7_2).vgic.regions() == [(DIST, 0x10000), (REDIST, 0x20000)]
    assert gicv3(V4_14).vgic.regions() == [
        (DIST, 0x10000),
        (REDIST, 0x10000),
        (REDIST + 0x10000, 0x10000),
    ]
    assert gicv2(V6_12).vgic.regions() == [(DIST, 0x1000)]


def test_an_access_across_the_end_of_a_region_is_not_the_kernels() -> None:
    vgic = gicv3(V7_2).vgic
    assert vgic.mmio(DIST + 0xFFFC, 8, False, 0) is None
    assert vgic.mmio(DIST - 4, 8, False, 0) is None
    assert vgic.mmio(DIST + 0xFFFC, 4, False, 0) == 0


def test_a_redistributor_was_two_devices_once() -> None:
    assert gicv3(V4_19).vgic.mmio(REDIST + 0xFFFC, 8, False, 0) is None
    assert gicv3(V6_12).vgic.mmio(REDIST + 0xFFFC, 8, False, 0) == 0


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0x0C, 4),  # GICD_TYPER2
        (0x14, 4),
        (0x100, 4),  # private interrupts are the redistributor's
        (0x400, 1),
        (0x108, 4),  # interrupts that are not there
        (0x440, 4),
        (0x6200, 8),
        (0x104, 1),
        (0x105, 1),
        (0x106, 4),  # not aligned
        (0x420, 2),
        (0x420, 8),
        (0xC08, 8),
        (0x6104, 8),
        (0xFFD0, 4),
        (0x5000, 4),
    ],
)
def test_what_fits_no_register_is_zero_and_ignored(offset: int, length: int) -> None:
    guest = gicv3()
    guest.store(DIST + 0x104, 0xFFFF_FFFF)
    guest.store(DIST + offset, (1 << length * 8) - 1, length)
    assert guest.load(DIST + offset, length) == 0
    assert guest.load(DIST + 0x104) == 0xFFFF_FFFF


def test_statusr_reads_as_ones() -> None:
    assert gicv3().load(DIST + 0x10) == 0xFFFF_FFFF


@pytest.mark.parametrize(("base", "first"), [(DIST, 4), (SGI_FRAME, 0)])
def test_enables_are_set_and_cleared(base: int, first: int) -> None:
    guest = gicv3()
    reset = 0 if first else 0xFFFF  # SGIs start enabled
    assert guest.load(base + 0x100 + first) == reset
    guest.store(base + 0x100 + first, 0xF0_0000)
    assert guest.load(base + 0x100 + first) == reset | 0xF0_0000
    assert guest.load(base + 0x180 + first) == reset | 0xF0_0000
    guest.store(base + 0x180 + first, 0x30_0003)
    assert guest.load(base + 0x100 + first) == (reset & ~3) | 0xC0_0000


def test_priorities_keep_five_bits_and_take_bytes() -> None:
    guest = gicv3()
    guest.store(DIST + 0x420, 0xFFFF_FFFF)
    assert guest.load(DIST + 0x420) == 0xF8F8_F8F8
    guest.store(DIST + 0x422, 0x47, 1)
    assert guest.load(DIST + 0x420) == 0xF840_F8F8
    guest.store(SGI_FRAME + 0x41F, 0x88, 1)
    assert guest.load(SGI_FRAME + 0x41C) == 0x8800_0000


def test_only_spis_change_between_edge_and_level() -> None:
    guest = gicv3()
    assert guest.load(DIST + 0xC08) == 0xAAAA_AAAA
    guest.store(DIST + 0xC08, 0xFFFF_FFF5)
    assert guest.load(DIST + 0xC08) == 0xAAAA_AAA0
    assert guest.load(SGI_FRAME + 0xC00) == 0xAAAA_AAAA
    assert guest.load(SGI_FRAME + 0xC04) == 0
    guest.store(SGI_FRAME + 0xC00, 0)
    guest.store(SGI_FRAME + 0xC04, 0xFFFF_FFFF)
    assert guest.load(SGI_FRAME + 0xC00) == 0xAAAA_AAAA
    assert guest.load(SGI_FRAME + 0xC04) == 0


@pytest.mark.parametrize(
    ("features", "reads"), [(V4_14, 0xFFFF_FFFF), (V4_19, 0x0F0F_0F0F), (V7_2, 0x0F0F_0F0F)]
)
def test_groups_are_the_guests_from_4_19(features: VgicFeatures, reads: int) -> None:
    for guest, offset in ((gicv3(features), DIST + 0x84), (gicv3(features), SGI_FRAME + 0x80)):
        assert guest.load(offset) == 0xFFFF_FFFF
        guest.store(offset, 0x0F0F_0F0F)
        assert guest.load(offset) == reads


@pytest.mark.parametrize(("features", "reset"), [(V4_14, 0xFFFF_FFFF), (V4_19, 0), (V7_2, 0)])
def test_a_gicv2_reported_group_1_before_4_19(features: VgicFeatures, reset: int) -> None:
    assert gicv2(features).load(DIST + 0x84) == reset


def test_a_router_keeps_24_bits_and_a_wrong_one_leads_nowhere() -> None:
    guest = gicv3_ready()
    guest.store(DIST + 0x6108, 0xFFFF_FFFF_8100_0001, 8)
    assert guest.load(DIST + 0x6108, 8) == 1
    assert guest.load(DIST + 0x610C) == 0
    guest.irq_line(SPI_1, 1)
    assert not guest.vgic.virq()
    assert guest.load(DIST + 0x204) == 2
    guest.store(DIST + 0x6108, 0)
    # A write of the router does not queue what became pending meanwhile.
    assert not guest.vgic.virq()
    guest.store(DIST + 0x104, 2)
    assert guest.vgic.virq()


def test_the_routers_of_private_interrupts_are_not_there() -> None:
    guest = gicv3()
    guest.store(DIST + 0x6008, 1, 8)
    assert guest.load(DIST + 0x6008, 8) == 0
    guest.store(SGI_FRAME + 0x200, 1 << 1)
    guest.store(DIST, 2)
    assert guest.vgic.pending_for_vcpu() is False
    guest.msr(sysregs.ICC_PMR_EL1, 0xF8)
    guest.msr(sysregs.ICC_IGRPEN1_EL1, 1)
    guest.store(SGI_FRAME + 0x100, 1 << 1)
    assert guest.vgic.virq()


def test_software_makes_an_edge_interrupt_pending_and_takes_it_back() -> None:
    guest = gicv3_ready()
    guest.store(DIST + 0x204, 2)
    assert guest.load(DIST + 0x204) == 2
    assert guest.load(DIST + 0x284) == 2
    assert guest.vgic.virq()
    guest.store(DIST + 0x284, 2)
    assert guest.load(DIST + 0x204) == 0
    assert not guest.vgic.virq()


def test_a_level_interrupt_follows_its_line() -> None:
    guest = gicv3_ready()
    guest.store(DIST + 0xC08, 0)
    guest.irq_line(SPI_1, 1)
    assert guest.load(DIST + 0x204) == 2
    guest.store(DIST + 0x284, 2)
    assert guest.load(DIST + 0x204) == 2
    guest.irq_line(SPI_1, 0)
    assert guest.load(DIST + 0x204) == 0
    assert not guest.vgic.virq()
    guest.store(DIST + 0x204, 2)
    assert guest.load(DIST + 0x204) == 2
    assert guest.vgic.virq()


def test_a_line_that_is_raised_twice_counts_once_if_level() -> None:
    guest = gicv3_ready()
    guest.store(DIST + 0xC08, 0)
    for level in (1, 1, 0):
        assert guest.irq_line(SPI_1, level) == 0
    assert not guest.vgic.virq()


def test_active_state_is_written_and_shown() -> None:
    guest = gicv3_ready()
    guest.store(DIST + 0x304, 2)
    assert guest.load(DIST + 0x304) == 2
    assert guest.load(DIST + 0x384) == 2
    guest.irq_line(SPI_1, 1)
    assert not guest.vgic.virq()
    guest.store(DIST + 0x384, 2)
    assert guest.load(DIST + 0x304) == 0
    assert guest.vgic.virq()


def test_nothing_is_forwarded_while_the_distributor_is_off() -> None:
    guest = gicv3_ready()
    guest.store(DIST, 0)
    guest.irq_line(SPI_1, 1)
    assert not guest.vgic.virq()
    assert not guest.vgic.pending_for_vcpu()
    guest.store(DIST, 2)
    # Enabling the distributor kicks vCPUs but queues nothing.
    assert not guest.vgic.virq()
    guest.store(DIST + 0x104, 2)
    assert guest.vgic.virq()


@pytest.mark.parametrize(("features", "value"), [(V4_14, 0), (V4_19, 0), (V6_12, 6), (V7_2, 6)])
def test_gicr_ctlr_has_two_fixed_bits_from_revision_3(features: VgicFeatures, value: int) -> None:
    assert gicv3(features).load(REDIST) == value


def test_redistributor_identification() -> None:
    guest = gicv3()
    assert guest.load(REDIST + 4) == 0x4B00043B
    assert guest.load(REDIST + 8) == 0x10
    assert guest.load(REDIST + 0xC) == 0
    assert guest.load(REDIST + 0x10) == 0


def test_lpi_tables_keep_what_kvm_supports() -> None:
    guest = gicv3(V7_2)
    assert guest.load(REDIST + 0x78, 8) == 0x580
    guest.store(REDIST + 0x78, 0xFFFF_FFFF_FFFF_FFFF, 8)
    assert guest.load(REDIST + 0x78, 8) == 0x000F_FFFF_FFFF_0F80
    guest.store(REDIST + 0x70, 0xFFFF_FFFF_FFFF_FFFF, 8)
    assert guest.load(REDIST + 0x70, 8) == 0x000F_FFFF_FFFF_FF9F
    guest.store(REDIST + 0x74, 0)
    assert guest.load(REDIST + 0x70, 8) == 0xFFFF_FF9F
    old = gicv3(V4_14)
    old.store(REDIST + 0x78, 0xFFFF_FFFF_FFFF_FFFF, 8)
    assert old.load(REDIST + 0x78, 8) == 0x4100_FFFF_FFFF_0F80


@pytest.mark.parametrize(
    ("irq", "result"),
    [
        (0x0100_0021, 0),
        (0x0100_003F, 0),
        (0x0200_0010, 0),
        (0x0200_001F, 0),
        (0x0100_001F, -errno.EINVAL),  # not an SPI
        (0x0100_0040, -errno.EINVAL),  # not among the 64
        (0x0200_000F, -errno.EINVAL),  # an SGI
        (0x0200_0020, -errno.EINVAL),
        (0x0201_0010, -errno.EINVAL),  # no such vCPU
        (0x1200_0010, -errno.EINVAL),
        (0x0000_0000, -errno.ENXIO),  # a CPU's own line, with an interrupt controller there
        (0x0300_0021, -errno.EINVAL),
    ],
)
def test_irq_line_takes_what_kvm_takes(irq: int, result: int) -> None:
    assert gicv3(V7_2).irq_line(irq, 0) == result


@pytest.mark.parametrize(("features", "result"), [(V4_19, -errno.EINVAL), (V7_2, 0)])
def test_the_upper_bits_of_an_irq_line_were_part_of_its_type(
    features: VgicFeatures, result: int
) -> None:
    assert gicv3(features).irq_line(0x1100_0021, 0) == result


def test_a_timer_owns_its_ppi_from_the_first_run_on() -> None:
    guest = gicv3_ready()
    guest.store(SGI_FRAME + 0x100, 1 << 27)
    guest.irq_line(0x0200_001B, 1)
    assert guest.vgic.virq()
    guest.irq_line(0x0200_001B, 0)
    give_to_timers(guest.vgic, driven=(27,), tied=(27,))
    assert guest.irq_line(0x0200_001B, 1) == 0
    assert not guest.vgic.virq()

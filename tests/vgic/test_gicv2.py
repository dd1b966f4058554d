"""The GICv2: its distributor's SGIs and targets, and the CPU interface in memory."""

from __future__ import annotations

import pytest
from vcpu_scenario.kernels.table import kernel as known
from vcpu_scenario.machine.emulated.kvm.interrupts import features
from vcpu_scenario.machine.emulated.kvm.vgicdevice import give_to_timers
from vcpu_scenario.machine.emulated.vgic import VgicFeatures, VgicV2
from vcpu_scenario.machine.errors import NotModelled

from tests.vgic.guest import CPU, DIST, SPI_1, V4_14, V4_19, V6_12, V7_2, Guest, gicv2

RELEASES = pytest.mark.parametrize(
    "features", [V4_14, V4_19, V6_12, V7_2], ids=["4.14", "4.19", "6.12", "7.2"]
)
CTLR, PMR, BPR, IAR, EOIR, RPR, HPPIR, ABPR = 0, 4, 8, 0xC, 0x10, 0x14, 0x18, 0x1C
SGIR, CPENDSGIR, SPENDSGIR = DIST + 0xF00, DIST + 0xF10, DIST + 0xF20


def ready(features: VgicFeatures = V7_2, ctlr: int = 1) -> Guest:
    guest = gicv2(features)
    guest.store(DIST, 1)
    guest.store(DIST + 0x104, 0xFFFF_FFFF)
    guest.gicv_store(PMR, 0xF0)
    guest.gicv_store(CTLR, ctlr)
    return guest


def drain(guest: Guest) -> list[int]:
    seen = []
    while guest.vgic.virq():
        value = guest.gicv_load(IAR)
        seen.append(value)
        assert len(seen) < 50, seen
        guest.gicv_store(EOIR, value)
    return seen


def test_ctlr_and_typer() -> None:
    guest = gicv2()
    guest.store(DIST, 0xFFFF_FFFF)
    assert guest.load(DIST) == 1
    assert guest.load(DIST + 4) == 1
    assert guest.load(DIST + 0xC) == 0
    assert guest.load(DIST + 0xFE8) == 0


def test_targets_know_one_cpu() -> None:
    guest = gicv2()
    assert guest.load(DIST + 0x800) == 0x0101_0101
    guest.store(DIST + 0x800, 0)
    assert guest.load(DIST + 0x800) == 0x0101_0101
    assert guest.load(DIST + 0x820) == 0
    guest.store(DIST + 0x820, 0xFF02_0103)
    assert guest.load(DIST + 0x820) == 0x0100_0101
    guest.store(DIST + 0x822, 1, 1)
    assert guest.load(DIST + 0x822, 1) == 1


@RELEASES
def test_an_spi_needs_no_target(features: VgicFeatures) -> None:
    guest = ready(features)
    guest.irq_line(SPI_1, 1)
    assert drain(guest) == [0x21]


@RELEASES
@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (0x0201_0005, True),
        (0x0001_0005, True),
        (0x0002_0005, False),
        (0x0100_0005, False),
        (0x0301_0005, False),
    ],
    ids=["self", "list", "other-cpu", "all-but-self", "reserved"],
)
def test_sgir_sends_to_the_only_cpu(features: VgicFeatures, value: int, arrives: bool) -> None:
    guest = ready(features)
    guest.store(SGIR, value)
    assert guest.load(SPENDSGIR + 4) == (1 << 8 if arrives else 0)
    assert drain(guest) == ([5] if arrives else [])
    assert guest.load(SGIR) == 0


@RELEASES
def test_an_sgi_arrives_once_for_each_source(features: VgicFeatures) -> None:
    guest = ready(features)
    guest.store(SPENDSGIR + 5, 0x85, 1)
    assert guest.load(CPENDSGIR + 5, 1) == 0x85
    assert drain(guest) == [5, 5 | 2 << 10, 5 | 7 << 10]
    assert guest.load(SPENDSGIR + 5, 1) == 0


@RELEASES
def test_sgi_sources_are_taken_back_one_by_one(features: VgicFeatures) -> None:
    guest = ready(features)
    guest.store(SPENDSGIR + 4, 0x0300_0300)
    guest.store(CPENDSGIR + 4, 0x0300_0100)
    assert guest.load(SPENDSGIR + 4) == 0x0200
    assert drain(guest) == [5 | 1 << 10]


@RELEASES
def test_sgis_do_not_become_pending_through_ispendr(features: VgicFeatures) -> None:
    guest = ready(features)
    guest.store(DIST + 0x200, 0x20)
    assert not guest.vgic.virq()
    guest.store(SGIR, 0x0201_0005)
    guest.store(DIST + 0x280, 0x20)
    assert drain(guest) == [5]


def test_an_active_sgi_keeps_its_source_over_an_exit() -> None:
    guest = ready(V4_19)
    guest.store(SPENDSGIR + 5, 0x04, 1)
    assert guest.gicv_load(IAR) == 5 | 2 << 10
    guest.exit()
    assert guest.vgic.cpuif.lrs[0].source == 2
    old = ready(V4_14)
    old.store(SPENDSGIR + 5, 0x04, 1)
    assert old.gicv_load(IAR) == 5 | 2 << 10
    old.exit()
    assert old.vgic.cpuif.lrs[0].source == 0


def test_the_cpu_interface_after_reset() -> None:
    guest = gicv2()
    values = {CTLR: 0, PMR: 0, BPR: 2, IAR: 1023, RPR: 0xFF, HPPIR: 1023, ABPR: 3, 0xD0: 0}
    for offset, value in values.items():
        assert guest.gicv_load(offset) == value, hex(offset)


def test_the_cpu_interface_keeps_what_it_has() -> None:
    guest = gicv2()
    guest.gicv_store(CTLR, 0xFFFF_FFFF)
    assert guest.gicv_load(CTLR) == 0x21F
    guest.gicv_store(PMR, 0xFFFF_FFFF)
    assert guest.gicv_load(PMR) == 0xF8
    guest.gicv_store(BPR, 0)
    assert guest.gicv_load(BPR) == 2
    guest.gicv_store(BPR, 5)
    assert guest.gicv_load(BPR) == 5
    guest.gicv_store(ABPR, 7)
    assert guest.gicv_load(ABPR) == 7
    for offset in (0x20, 0x24, 0x28, 0xD4, 0xE0, 0x5, 0x1FFC):
        guest.gicv_store(offset, 1, 1)
        assert guest.gicv_load(offset, 1) == 0, hex(offset)


def test_odd_widths_at_a_registers_offset_reach_it() -> None:
    guest = ready()
    assert guest.gicv_load(PMR, 1) == 0xF0
    assert guest.gicv_load(PMR, 2) == 0xF0
    assert guest.gicv_load(PMR + 1, 1) == 0
    guest.gicv_store(PMR, 0x40, 1)
    assert guest.gicv_load(PMR) == 0x40
    guest.gicv_store(CTLR, 0x88_0000_0001, 8)
    assert guest.gicv_load(PMR) == 0x88


def test_a_higher_priority_preempts() -> None:
    guest = ready()
    guest.store(DIST + 0x421, 0x80, 1)
    guest.store(DIST + 0x422, 0x40, 1)
    guest.irq_line(SPI_1, 1)
    assert guest.gicv_load(IAR) == 33
    assert guest.gicv_load(RPR) == 0x80
    guest.irq_line(SPI_1 + 1, 1)
    assert guest.vgic.virq()
    assert guest.gicv_load(HPPIR) == 34
    assert guest.gicv_load(IAR) == 34
    assert guest.gicv_load(0xD0) == 1 << 8 | 1 << 16
    guest.gicv_store(EOIR, 34)
    assert guest.gicv_load(RPR) == 0x80
    guest.gicv_store(EOIR, 33)
    assert guest.gicv_load(RPR) == 0xFF


def test_group_0_is_an_fiq_if_so_configured() -> None:
    guest = ready(ctlr=1 | 1 << 3)
    guest.irq_line(SPI_1, 1)
    assert guest.vgic.vfiq()
    assert not guest.vgic.virq()
    assert guest.gicv_load(IAR) == 33


def test_group_1_is_hidden_from_iar_without_ackctl() -> None:
    guest = ready(ctlr=2)
    guest.store(DIST + 0x84, 0xFFFF_FFFF)
    guest.irq_line(SPI_1, 1)
    assert guest.vgic.virq()
    assert guest.gicv_load(HPPIR) == 1022
    assert guest.gicv_load(IAR) == 1022
    guest.gicv_store(CTLR, 2 | 1 << 2)
    assert guest.gicv_load(IAR) == 33


@RELEASES
def test_eoimode_1_and_dir(features: VgicFeatures) -> None:
    guest = ready(features, ctlr=1 | 1 << 9)
    guest.irq_line(SPI_1, 1)
    assert guest.gicv_load(IAR) == 33
    guest.gicv_store(EOIR, 33)
    assert guest.gicv_load(RPR) == 0xFF
    assert guest.load(DIST + 0x304) == 2
    write_dir(guest, 33)
    assert guest.load(DIST + 0x304) == 0


def write_dir(guest: Guest, value: int) -> None:
    assert isinstance(guest.vgic, VgicV2)
    base, size = guest.vgic.mapped()
    assert base == CPU
    if size > 0x1000:
        guest.gicv_store(0x1000, value)
    else:
        guest.store(CPU + 0x1000, value)


def test_dir_matches_the_source_of_an_sgi_where_kvm_emulates_it() -> None:
    guest = ready(V7_2, ctlr=1 | 1 << 9)
    guest.store(SPENDSGIR + 5, 0x04, 1)
    assert guest.gicv_load(IAR) == 5 | 2 << 10
    guest.gicv_store(EOIR, 5 | 2 << 10)
    write_dir(guest, 5)
    assert guest.load(DIST + 0x300) == 1 << 5
    write_dir(guest, 5 | 2 << 10)
    assert guest.load(DIST + 0x300) == 0


@pytest.mark.parametrize("features", [V4_19, V6_12, V7_2], ids=["4.19", "6.12", "7.2"])
def test_more_than_the_list_registers_hold(features: VgicFeatures) -> None:
    guest = ready(features)
    for intid in range(33, 45):
        guest.irq_line(0x0100_0000 | intid, 1)
    assert drain(guest) == list(range(33, 45))


@pytest.mark.parametrize(("kernel", "told"), [("5.15", True), ("5.17", False), ("6.0", True)])
def test_a_vmm_reads_what_is_pending_where_that_does_not_end_the_host(
    kernel: str, told: bool
) -> None:
    vgic = gicv2(features(known(kernel).behaviour)).vgic
    assert isinstance(vgic, VgicV2)
    assert vgic.dist_registers.user_read(vgic, 0x200) == 0
    give_to_timers(vgic, driven=(27,), tied=(27,))
    assert vgic.dist_registers.user_read(vgic, 0x204) == 0
    if told:
        assert vgic.dist_registers.user_read(vgic, 0x200) == 0
    else:
        with pytest.raises(NotModelled, match="GICD_ISPENDR0"):
            vgic.dist_registers.user_read(vgic, 0x200)

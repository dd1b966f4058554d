"""The virtual CPU interface: priorities, preemption, EOI modes, groups, more than fits."""

from __future__ import annotations

import pytest
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.cpu import icv
from vcpu_scenario.machine.emulated.cpu.cpuif import CpuInterface
from vcpu_scenario.machine.emulated.vgic import UNDEF, VgicFeatures

from tests.vgic.guest import (
    DIST,
    SGI_FRAME,
    V4_14,
    V4_19,
    V6_12,
    V7_2,
    Guest,
    gicv2,
    gicv3,
    gicv3_ready,
)

RELEASES = pytest.mark.parametrize(
    "features", [V4_14, V4_19, V6_12, V7_2], ids=["4.14", "4.19", "6.12", "7.2"]
)
ALL_SPIS = 0xFFFF_FFFF


def with_spis(features: VgicFeatures, priorities: dict[int, int]) -> Guest:
    """A guest with these interrupts enabled and of these priorities, by INTID."""
    guest = gicv3_ready(features)
    guest.msr(sysregs.ICC_PMR_EL1, 0xFF)
    guest.store(DIST + 0x84, ALL_SPIS)
    guest.store(DIST + 0x104, ALL_SPIS)
    for intid, priority in priorities.items():
        guest.store(DIST + 0x400 + intid, priority, 1)
    return guest


def raise_spi(guest: Guest, *intids: int) -> None:
    for intid in intids:
        assert guest.irq_line(0x0100_0000 | intid, 1) == 0


def drain(guest: Guest) -> list[int]:
    """Handles one interrupt after the other, as a guest does that keeps IRQs masked."""
    seen = []
    while guest.vgic.virq():
        intid = guest.mrs(sysregs.ICC_IAR1_EL1)
        seen.append(intid)
        assert len(seen) < 200, seen
        guest.msr(sysregs.ICC_EOIR1_EL1, intid)
    return seen


def test_registers_after_reset() -> None:
    guest = gicv3()
    assert guest.mrs(sysregs.ICC_PMR_EL1) == 0
    assert guest.mrs(sysregs.ICC_BPR0_EL1) == 2
    assert guest.mrs(sysregs.ICC_BPR1_EL1) == 3
    assert guest.mrs(sysregs.ICC_IGRPEN0_EL1) == 0
    assert guest.mrs(sysregs.ICC_IGRPEN1_EL1) == 0
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0xFF
    assert guest.mrs(sysregs.ICC_HPPIR1_EL1) == 1023
    assert guest.mrs(sysregs.ICC_AP1R0_EL1) == 0


def test_fields_keep_what_the_hardware_has() -> None:
    guest = gicv3()
    guest.msr(sysregs.ICC_PMR_EL1, 0xFFF)
    assert guest.mrs(sysregs.ICC_PMR_EL1) == 0xF8
    guest.msr(sysregs.ICC_BPR0_EL1, 0)
    guest.msr(sysregs.ICC_BPR1_EL1, 0)
    assert guest.mrs(sysregs.ICC_BPR0_EL1) == 2
    assert guest.mrs(sysregs.ICC_BPR1_EL1) == 3
    guest.msr(sysregs.ICC_BPR0_EL1, 7)
    guest.msr(sysregs.ICC_CTLR_EL1, 0xFFFF_FFFF)
    assert guest.mrs(sysregs.ICC_CTLR_EL1) == 0x8C03
    assert guest.mrs(sysregs.ICC_BPR1_EL1) == 7
    guest.msr(sysregs.ICC_BPR1_EL1, 4)
    guest.msr(sysregs.ICC_CTLR_EL1, 0)
    assert guest.mrs(sysregs.ICC_BPR1_EL1) == 3
    guest.msr(sysregs.ICC_SRE_EL1, 0)
    assert guest.mrs(sysregs.ICC_SRE_EL1) == 7


def test_reserved_bits_of_a_binary_point_count_against_the_least_one() -> None:
    """As QEMU's CPU has it, and ``__vgic_v3_write_bpr1``: on Debian's 6.12."""
    guest = gicv3()
    for register in (sysregs.ICC_BPR0_EL1, sysregs.ICC_BPR1_EL1):
        guest.msr(register, 0x20)
        assert guest.mrs(register) == 0


@pytest.mark.parametrize(
    ("written", "kept"),
    [(8, 0), (9, 1), (0x101, 1), (0x1F, 7), (1 << 32 | 8, 0), (0x8000_0000, 2), (-1, 2), (1, 2)],
)
def test_reserved_bits_of_a_binary_point_count_until_the_vcpu_is_loaded(
    written: int, kept: int
) -> None:
    """As on Debian's 6.12.118, 6.16.12 and 7.2.13 under QEMU 7.2, by a guest's MSR and MRS."""
    guest = gicv3()
    guest.msr(sysregs.ICC_BPR0_EL1, written & (1 << 64) - 1)
    assert guest.mrs(sysregs.ICC_BPR0_EL1) == kept
    guest.vgic.cpuif.load()
    assert guest.mrs(sysregs.ICC_BPR0_EL1) == max(kept, 2)


@pytest.mark.parametrize(
    "encoding",
    [
        sysregs.ICC_EOIR1_EL1,
        sysregs.ICC_DIR_EL1,
        sysregs.ICC_SGI1R_EL1,
        sysregs.ICC_SGI0R_EL1,
        (3, 0, 12, 8, 5),
    ],
)
def test_what_cannot_be_read_is_undefined(encoding: sysregs.Encoding) -> None:
    assert gicv3().vgic.icc_read(encoding) is UNDEF


@pytest.mark.parametrize(
    "encoding",
    [sysregs.ICC_IAR0_EL1, sysregs.ICC_HPPIR1_EL1, sysregs.ICC_RPR_EL1, (3, 0, 12, 9, 1)],
)
def test_what_cannot_be_written_is_undefined(encoding: sysregs.Encoding) -> None:
    assert gicv3().vgic.icc_write(encoding, 0) is False


def test_without_a_vgic_the_registers_are_the_hardwares() -> None:
    """B icc-nogic, up to 6.2: x1=7, x3=0xf0."""
    cpuif = CpuInterface()
    assert icv.read(cpuif, sysregs.ICC_SRE_EL1) == 7
    assert icv.write(cpuif, sysregs.ICC_PMR_EL1, 0xF0)
    assert icv.read(cpuif, sysregs.ICC_PMR_EL1) == 0xF0


def test_interrupts_of_a_disabled_group_do_not_take_the_list_registers() -> None:
    guest = with_spis(V7_2, dict.fromkeys(range(33, 40), 0x10) | {41: 0x80})
    guest.store(DIST + 0x84, 1 << 9)  # all of group 0 but 41
    raise_spi(guest, *range(33, 40))
    raise_spi(guest, 41)
    assert drain(guest) == [41]


def test_a_gicv2_host_has_no_system_registers() -> None:
    vgic = gicv2().vgic
    assert vgic.icc_read(sysregs.ICC_SRE_EL1) is UNDEF
    assert vgic.icc_write(sysregs.ICC_PMR_EL1, 0xF0) is False
    assert not vgic.traps(sysregs.ICC_SGI1R_EL1)


@RELEASES
def test_the_highest_priority_comes_first(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x80, 41: 0x20, 42: 0x40})
    raise_spi(guest, 40, 41, 42)
    assert guest.mrs(sysregs.ICC_HPPIR1_EL1) == 41
    assert drain(guest) == [41, 42, 40]


@RELEASES
def test_equal_priorities_keep_the_order_of_arrival(features: VgicFeatures) -> None:
    guest = with_spis(features, dict.fromkeys((50, 40, 45), 0xA0))
    raise_spi(guest, 50, 40, 45)
    assert drain(guest) == [50, 40, 45]


@RELEASES
def test_the_priority_mask_holds_back(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x80})
    guest.msr(sysregs.ICC_PMR_EL1, 0x80)
    raise_spi(guest, 40)
    assert not guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 1023
    assert guest.mrs(sysregs.ICC_HPPIR1_EL1) == 40
    guest.msr(sysregs.ICC_PMR_EL1, 0x88)
    assert guest.vgic.virq()


@RELEASES
def test_only_a_higher_group_priority_preempts(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x80, 41: 0x88, 42: 0x80, 43: 0x78})
    raise_spi(guest, 40)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0x80
    raise_spi(guest, 41, 42)
    assert not guest.vgic.virq()
    raise_spi(guest, 43)
    assert guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 43
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0x78
    assert guest.mrs(sysregs.ICC_AP1R0_EL1) == 1 << 15 | 1 << 16
    guest.msr(sysregs.ICC_EOIR1_EL1, 43)
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0x80
    guest.msr(sysregs.ICC_EOIR1_EL1, 40)
    assert drain(guest) == [42, 41]


@RELEASES
def test_the_binary_point_makes_subpriorities(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x90, 41: 0x80, 42: 0x40})
    guest.msr(sysregs.ICC_BPR1_EL1, 6)  # group priority in bits 7:6
    raise_spi(guest, 40)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0x80
    raise_spi(guest, 41)
    assert not guest.vgic.virq()
    raise_spi(guest, 42)
    assert guest.vgic.virq()


@RELEASES
def test_eoimode_1_drops_the_priority_and_dir_deactivates(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x80})
    guest.msr(sysregs.ICC_CTLR_EL1, 2)
    raise_spi(guest, 40)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
    raise_spi(guest, 40)
    guest.msr(sysregs.ICC_EOIR1_EL1, 40)
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0xFF
    assert not guest.vgic.virq()
    assert guest.load(DIST + 0x304) == 1 << 8
    guest.msr(sysregs.ICC_DIR_EL1, 40)
    assert guest.load(DIST + 0x304) == 0
    assert drain_split(guest) == [40]


def drain_split(guest: Guest) -> list[int]:
    seen = []
    while guest.vgic.virq():
        intid = guest.mrs(sysregs.ICC_IAR1_EL1)
        seen.append(intid)
        assert len(seen) < 200, seen
        guest.msr(sysregs.ICC_EOIR1_EL1, intid)
        guest.msr(sysregs.ICC_DIR_EL1, intid)
    return seen


def test_dir_without_eoimode_does_nothing() -> None:
    guest = with_spis(V6_12, {40: 0x80})
    raise_spi(guest, 40)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
    guest.msr(sysregs.ICC_DIR_EL1, 40)
    assert guest.load(DIST + 0x304) == 1 << 8


@pytest.mark.parametrize(("features", "traps"), [(V6_12, False), (V7_2, True)])
def test_dir_traps_once_an_spi_was_queued(features: VgicFeatures, traps: bool) -> None:
    guest = with_spis(features, {40: 0x80})
    assert not guest.vgic.traps(sysregs.ICC_DIR_EL1)
    raise_spi(guest, 40)
    assert guest.vgic.traps(sysregs.ICC_DIR_EL1) is traps


def test_a_wrong_eoi_drops_the_priority_but_leaves_the_interrupt_active() -> None:
    guest = with_spis(V6_12, {40: 0x80})
    raise_spi(guest, 40)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
    guest.msr(sysregs.ICC_EOIR1_EL1, 1023)
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0x80
    guest.msr(sysregs.ICC_EOIR1_EL1, 41)
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0xFF
    assert guest.load(DIST + 0x304) == 1 << 8


def test_group_0_is_an_fiq_with_registers_of_its_own() -> None:
    guest = with_spis(V6_12, {40: 0x80, 41: 0x90})
    guest.store(DIST + 0x84, ALL_SPIS & ~(1 << 8))
    raise_spi(guest, 40, 41)
    assert guest.vgic.virq()
    assert not guest.vgic.vfiq()
    assert guest.mrs(sysregs.ICC_HPPIR1_EL1) == 41
    guest.msr(sysregs.ICC_IGRPEN0_EL1, 1)
    assert guest.vgic.vfiq()
    assert not guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 1023
    assert guest.mrs(sysregs.ICC_HPPIR0_EL1) == 40
    assert guest.mrs(sysregs.ICC_IAR0_EL1) == 40
    assert guest.mrs(sysregs.ICC_AP0R0_EL1) == 1 << 16
    guest.msr(sysregs.ICC_EOIR0_EL1, 40)
    assert guest.vgic.virq()


def test_before_4_19_a_gicv3_has_group_1_alone() -> None:
    guest = with_spis(V4_14, {40: 0x80})
    guest.store(DIST + 0x84, 0)
    raise_spi(guest, 40)
    assert guest.vgic.virq()


@RELEASES
def test_a_level_interrupt_comes_back_until_its_line_falls(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x80})
    guest.store(DIST + 0xC08, 0)
    raise_spi(guest, 40)
    for _ in range(3):
        assert guest.vgic.virq()
        assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
        assert not guest.vgic.virq()
        guest.msr(sysregs.ICC_EOIR1_EL1, 40)
    assert guest.irq_line(0x0100_0028, 0) == 0
    assert not guest.vgic.virq()


@RELEASES
def test_a_line_that_falls_while_active_ends_it(features: VgicFeatures) -> None:
    guest = with_spis(features, {40: 0x80})
    guest.store(DIST + 0xC08, 0)
    raise_spi(guest, 40)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 40
    guest.irq_line(0x0100_0028, 0)
    guest.msr(sysregs.ICC_EOIR1_EL1, 40)
    assert not guest.vgic.virq()
    assert guest.load(DIST + 0x304) == 0


def test_only_the_end_of_a_level_interrupt_makes_the_guest_exit() -> None:
    guest = with_spis(V6_12, {40: 0x80})
    vgic = guest.vgic
    for config, exits in ((0xAAAA_AAAA, False), (0, True)):
        guest.store(DIST + 0xC08, config)
        raise_spi(guest, 40)
        assert vgic.icc_read(sysregs.ICC_IAR1_EL1) == 40
        assert not vgic.maintenance()
        assert vgic.icc_write(sysregs.ICC_EOIR1_EL1, 40)
        assert vgic.maintenance() is exits
        guest.exit()


@pytest.mark.parametrize(("features", "exits"), [(V6_12, False), (V7_2, True)])
def test_enabling_a_group_makes_the_guest_exit_on_new_kernels(
    features: VgicFeatures, exits: bool
) -> None:
    guest = gicv3(features)
    assert guest.vgic.icc_write(sysregs.ICC_IGRPEN1_EL1, 1)
    assert guest.vgic.maintenance() is exits
    guest.exit()
    assert not guest.vgic.maintenance()
    assert guest.vgic.icc_write(sysregs.ICC_IGRPEN1_EL1, 0)
    assert guest.vgic.maintenance() is exits


@RELEASES
@pytest.mark.parametrize("count", [4, 5, 12, 31])
def test_more_interrupts_than_list_registers_all_arrive(features: VgicFeatures, count: int) -> None:
    intids = list(range(33, 33 + count))
    priorities = {intid: (intid * 8) % 0xF0 for intid in intids}
    guest = with_spis(features, priorities)
    raise_spi(guest, *intids)
    seen = drain(guest)
    assert sorted(seen) == intids
    assert seen == sorted(intids, key=lambda intid: priorities[intid])


@pytest.mark.parametrize("features", [V6_12, V7_2], ids=["6.12", "7.2"])
def test_a_newcomer_of_higher_priority_gets_a_list_register(features: VgicFeatures) -> None:
    guest = with_spis(features, dict.fromkeys(range(33, 40), 0x80) | {41: 0x10})
    raise_spi(guest, *range(33, 40))
    raise_spi(guest, 41)
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 41


@pytest.mark.parametrize("features", [V7_2], ids=["7.2"])
def test_nesting_deeper_than_the_list_registers_unwinds(features: VgicFeatures) -> None:
    intids = list(range(33, 43))
    priorities = {intid: 0xF0 - 8 * position for position, intid in enumerate(intids)}
    guest = with_spis(features, priorities)
    for intid in intids:
        raise_spi(guest, intid)
        assert guest.mrs(sysregs.ICC_IAR1_EL1) == intid
    for intid in reversed(intids):
        assert guest.mrs(sysregs.ICC_RPR_EL1) == priorities[intid]
        guest.msr(sysregs.ICC_EOIR1_EL1, intid)
    assert guest.mrs(sysregs.ICC_RPR_EL1) == 0xFF
    guest.exit()
    assert guest.load(DIST + 0x304) == 0


def test_before_lr_overflow_active_interrupts_shut_out_a_pending_one() -> None:
    guest = with_spis(V6_12, {33: 0xF0, 34: 0xE0, 35: 0xD0, 36: 0xC0, 37: 0x10})
    for intid in (33, 34, 35, 36):
        raise_spi(guest, intid)
        assert guest.mrs(sysregs.ICC_IAR1_EL1) == intid
    raise_spi(guest, 37)
    assert not guest.vgic.virq()
    guest.msr(sysregs.ICC_EOIR1_EL1, 36)
    guest.exit()
    assert guest.vgic.virq()


def test_deactivation_outside_the_list_registers_needs_the_trap() -> None:
    intids = list(range(33, 40))
    guest = with_spis(V7_2, dict.fromkeys(intids, 0x80))
    guest.msr(sysregs.ICC_CTLR_EL1, 2)
    for intid in intids:
        raise_spi(guest, intid)
        assert guest.mrs(sysregs.ICC_IAR1_EL1) == intid
        guest.msr(sysregs.ICC_EOIR1_EL1, intid)
    assert guest.load(DIST + 0x304) == 0x7F << 1
    for intid in intids:
        assert guest.vgic.traps(sysregs.ICC_DIR_EL1)
        guest.msr(sysregs.ICC_DIR_EL1, intid)
    assert guest.load(DIST + 0x304) == 0


# -- SGIs of a GICv3 ----------------------------------------------------------------------


@RELEASES
def test_an_sgi_to_itself_arrives(features: VgicFeatures) -> None:
    guest = gicv3_ready(features)
    guest.msr(sysregs.ICC_SGI1R_EL1, 5 << 24 | 1)
    assert guest.vgic.virq()
    assert guest.mrs(sysregs.ICC_IAR1_EL1) == 5
    guest.msr(sysregs.ICC_EOIR1_EL1, 5)
    assert not guest.vgic.virq()


@RELEASES
@pytest.mark.parametrize(
    "value",
    [0, 2, 1 | 1 << 40, 1 | 1 << 16, 1 | 1 << 32, 1 | 1 << 48],
    ids=["none", "cpu1", "others", "aff1", "aff2", "aff3"],
)
def test_an_sgi_to_others_does_not(features: VgicFeatures, value: int) -> None:
    guest = gicv3_ready(features)
    guest.msr(sysregs.ICC_SGI1R_EL1, value | 5 << 24)
    assert not guest.vgic.virq()


def test_the_group_0_registers_send_group_0_alone() -> None:
    guest = gicv3_ready(V6_12)
    guest.msr(sysregs.ICC_IGRPEN0_EL1, 1)
    for encoding in (sysregs.ICC_SGI0R_EL1, sysregs.ICC_ASGI1R_EL1):
        guest.msr(encoding, 5 << 24 | 1)
        assert not guest.vgic.virq()
        assert guest.load(SGI_FRAME + 0x200) == 0
    guest.store(SGI_FRAME + 0x80, 0)
    guest.msr(sysregs.ICC_SGI0R_EL1, 5 << 24 | 1)
    assert guest.vgic.vfiq()


def test_the_group_0_registers_were_undefined_to_kvm() -> None:
    vgic = gicv3_ready(V4_14).vgic
    assert vgic.traps(sysregs.ICC_SGI0R_EL1)
    assert vgic.icc_write(sysregs.ICC_SGI0R_EL1, 5 << 24 | 1) is False


# -- what ends a WFI ----------------------------------------------------------------------


@pytest.mark.parametrize(("features", "wakes"), [(V4_14, True), (V7_2, False)])
def test_a_masked_priority_ended_a_wfi_once(features: VgicFeatures, wakes: bool) -> None:
    guest = with_spis(features, {40: 0x80})
    guest.msr(sysregs.ICC_PMR_EL1, 0x80)
    assert not guest.vgic.pending_for_vcpu()
    raise_spi(guest, 40)
    guest.vgic.sync()
    assert guest.vgic.pending_for_vcpu() is wakes
    guest.vgic.flush()
    guest.msr(sysregs.ICC_PMR_EL1, 0x88)
    guest.vgic.sync()
    assert guest.vgic.pending_for_vcpu()


def test_a_disabled_interrupt_waits() -> None:
    guest = gicv3_ready()
    guest.store(DIST + 0x184, 2)
    guest.irq_line(0x0100_0021, 1)
    assert not guest.vgic.virq()
    assert not guest.vgic.pending_for_vcpu()
    guest.store(DIST + 0x104, 2)
    assert guest.vgic.virq()
    guest.store(DIST + 0x184, 2)
    assert not guest.vgic.virq()
    assert guest.load(DIST + 0x204) == 2

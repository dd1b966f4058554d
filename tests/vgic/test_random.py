"""Whatever a guest and a VMM do, the vGIC stays whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vcpu_scenario.machine.emulated.cpu import icv
from vcpu_scenario.machine.emulated.vgic import VgicFeatures, VgicV2, VgicV3

from tests.vgic.guest import CPU, DIST, REDIST, V4_14, V4_19, V6_12, V7_2, Guest, gicv2, gicv3

pytestmark = pytest.mark.slow

Step: TypeAlias = tuple[str, int, int, int]

RELEASES = pytest.mark.parametrize(
    "features", [V4_14, V4_19, V6_12, V7_2], ids=["4.14", "4.19", "6.12", "7.2"]
)
REGISTERS = sorted(icv.READS.keys() | icv.WRITES.keys() | icv.SGI_REGISTERS)
INTERESTING = [0, 4, 8, 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0x800, 0xC00, 0xF00]
OFFSETS = st.one_of(
    st.builds(lambda base, plus: base + plus, st.sampled_from(INTERESTING), st.integers(0, 0x48)),
    st.integers(0, 0xFFFF),
)
VALUES = st.one_of(st.integers(0, 0xFF), st.just(0xFFFF_FFFF), st.integers(0, (1 << 64) - 1))
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(["load", "store", "store", "msr", "mrs", "line", "gicv"]),
        OFFSETS,
        st.sampled_from([1, 2, 4, 4, 4, 8]),
        VALUES,
    ),
    max_size=60,
)


def enabled(guest: Guest) -> Guest:
    guest.store(DIST, 3)
    guest.store(DIST + 0x104, 0xFFFF_FFFF)
    return guest


def run(guest: Guest, steps: list[Step]) -> list[object]:
    """What the steps gave, in order."""
    do: dict[str, Callable[[Guest, int, int, int], object]] = {
        "load": lambda g, offset, length, value: in_kernel(g, offset, length, False, value),
        "store": lambda g, offset, length, value: in_kernel(g, offset, length, True, value),
        "msr": system_register_write,
        "mrs": lambda g, offset, length, value: g.vgic.icc_read(REGISTERS[offset % len(REGISTERS)]),
        "line": lambda g, offset, length, value: g.irq_line(value & 0x3FF_FFFF, offset & 1),
        "gicv": gicv_access,
    }
    seen = []
    for kind, offset, length, value in steps:
        seen.append(do[kind](guest, offset, length, value))
        seen.append((guest.vgic.virq(), guest.vgic.vfiq(), guest.vgic.maintenance()))
        whole(guest)
    return seen


def in_kernel(guest: Guest, offset: int, length: int, is_write: bool, value: int) -> int | None:
    base = REDIST + (offset & 1) * 0x10000 if offset & 0x2000 else DIST
    guest.vgic.sync()
    result = guest.vgic.mmio(base + offset, length, is_write, value)
    guest.vgic.flush()
    assert result is None or 0 <= result < 1 << length * 8
    return result


def system_register_write(guest: Guest, offset: int, length: int, value: int) -> bool:
    encoding = REGISTERS[offset % len(REGISTERS)]
    if guest.vgic.traps(encoding):
        guest.vgic.sync()
        result = guest.vgic.icc_write(encoding, value)
        guest.vgic.flush()
        return result
    return guest.vgic.icc_write(encoding, value)


def gicv_access(guest: Guest, offset: int, length: int, value: int) -> int | None:
    if isinstance(guest.vgic, VgicV3):
        return None
    result = guest.vgic.gicv(offset & 0x1FFF, length, bool(value & 1), value)
    assert 0 <= result < 1 << length * 8
    return result


def whole(guest: Guest) -> None:
    vgic = guest.vgic
    lrs = vgic.cpuif.lrs
    assert len(lrs) <= vgic.features.list_registers
    assert all(vgic.irqs[lr.intid].queued for lr in lrs)
    assert vgic.ap_list == [irq for irq in vgic.ap_list if irq.queued]
    assert {irq.intid for irq in vgic.irqs if irq.queued} == {irq.intid for irq in vgic.ap_list}
    if not vgic.features.sgi_sources_together:
        assert len({lr.intid for lr in lrs}) == len(lrs)
    assert all(lr.priority & 7 == 0 for lr in lrs)
    assert not (vgic.virq() and vgic.vfiq())


@RELEASES
@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_a_gicv3_stays_whole(features: VgicFeatures, steps: list[Step]) -> None:
    assert run(enabled(gicv3(features)), steps) == run(enabled(gicv3(features)), steps)


@RELEASES
@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_a_gicv2_stays_whole(features: VgicFeatures, steps: list[Step]) -> None:
    guest = enabled(gicv2(features))
    assert isinstance(guest.vgic, VgicV2)
    assert guest.vgic.mapped()[0] == CPU
    run(guest, steps)

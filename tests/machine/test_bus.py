"""``kvm_io_bus_cmp``: an access has to lie within a device, or to hit one without a size."""

from __future__ import annotations

import struct

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, CoalescedZone, Gic, Ioeventfd, Limits, Load, Memslot
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

BASE, DEVICE = 0x4000_0000, 0x0900_0000


def write(size: int, offset: int = 0, **devices: object) -> Trace:
    store = w.access_indexed(size, w.STORE, w.UNSCALED, 1, 10, offset)
    case = Case(
        slots=(Memslot(BASE, 1 << 20),),
        loads=(Load(BASE, struct.pack("<2I", store, w.b(0))),),
        regs=(("pc", BASE), ("x10", DEVICE), ("x1", 1)),
        limits=Limits(exits=1, instructions=100_000),
        **devices,  # type: ignore[arg-type]
    )
    machine = create("6.12")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def was_coalesced(trace: Trace) -> bool:
    assert trace.ring is not None
    assert (trace.exits[0].exit == "INTR") == bool(trace.ring.entries)
    return bool(trace.ring.entries)


@pytest.mark.parametrize(
    ("zone", "size", "offset", "taken"),
    [
        (8, w.DOUBLE, 0, True),
        (8, w.WORD, 4, True),
        (4, w.DOUBLE, 0, False),
        (1, w.WORD, 0, False),
        (4, w.WORD, 1, False),
        (4, w.WORD, -1, False),
        (0, w.BYTE, 0, False),
    ],
)
def test_a_zone_takes_what_lies_within_it(zone: int, size: int, offset: int, taken: bool) -> None:
    trace = write(size, offset, coalesced=(CoalescedZone(DEVICE, zone),))
    assert was_coalesced(trace) is taken


@pytest.mark.parametrize(
    ("length", "size", "signals"),
    [(0, w.BYTE, 1), (0, w.DOUBLE, 1), (4, w.WORD, 1), (4, w.DOUBLE, 0), (4, w.HALF, 0)],
)
def test_an_ioeventfd_takes_its_width_or_any(length: int, size: int, signals: int) -> None:
    trace = write(size, ioeventfds=(Ioeventfd(DEVICE, length),))
    assert trace.eventfd == (signals,)
    assert trace.exits[0].exit == ("INTR" if signals else "MMIO")


@pytest.mark.parametrize(("size", "length"), [(w.BYTE, 1), (w.WORD, 4), (w.DOUBLE, 8)])
@pytest.mark.parametrize("above", [0, 1 << 63, 0xFFFF_FF00_0000_0000])
def test_what_is_written_is_compared_with_all_64_bits_of_the_datamatch(
    size: int, length: int, above: int
) -> None:
    """``ioeventfd_in_range``: the value written, zero-extended."""
    trace = write(size, ioeventfds=(Ioeventfd(DEVICE, length, above | 1),))
    assert trace.eventfd == (0 if above else 1,)


def test_a_search_among_zones_that_overlap_may_miss_the_one_that_would_take_the_write() -> None:
    """With a vGIC's two regions before them the search by halves passes by; without, it does not.
    As Debian's kernels from 5.10 to 7.2 have it."""
    zones = CoalescedZone(DEVICE + 8, 4), CoalescedZone(DEVICE, 20)
    assert was_coalesced(write(w.HALF, coalesced=zones))
    gic = Gic(3, 0x0800_0000, 0x080A_0000)
    trace = write(w.HALF, coalesced=zones, gic=gic)
    assert trace.ring is not None
    assert (trace.exits[0].exit, trace.ring.entries) == ("MMIO", ())

"""What a VMM asks of its VM, as KVM has it: memory slots by their numbers, the dirty log, memory
that is not there, filters of hypercalls and stolen time."""

from __future__ import annotations

from errno import EEXIST, EFAULT, EINVAL, ENOENT

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Action, AddMemslot, Attempt, Memslot, WriteMemory
from vcpu_scenario.ioctls.memory import (
    Access,
    ClearDirtyLog,
    DiscardMemory,
    GetDirtyLog,
    GetUserfaults,
    SetHostMapping,
    SetMemoryRegion,
)
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.ioctls.vm import SetSmcccFilter, SetStealTime
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Ending, Trace

from .test_bounds import code, run

FORWARD = abi.KVM_SMCCC_FILTER_FWD_TO_USER
SECOND = 0x5000_0000
SIZE = 0x1_0000
BRK = 0xD420_00E0
STORE = (w.movz(0, 0x5000, shift=16), 0xF900_0001)  # str x1, [x0]
LOAD = (w.movz(0, 0x5000, shift=16), 0xF940_0002)  # ldr x2, [x0]


def told(*words: int, before: tuple[Action, ...], kernel: str = "6.12", **more: object) -> Trace:
    return run(code(*words, BRK, before=before, debug=GuestDebug(0x1_0001), **more), kernel)


def slot(number: int = 1, base: int = SECOND, size: int = SIZE, **flags: bool) -> SetMemoryRegion:
    return SetMemoryRegion(number, base, size, **flags)


@pytest.mark.parametrize(
    ("action", "errno"),
    [
        (slot(size=0), EINVAL),
        (slot(size=0x800), EINVAL),
        (slot(base=SECOND + 0x800), EINVAL),
        (slot(base=(1 << 64) - SIZE), EINVAL),
        (slot(base=(1 << 40) - 0x1000), EFAULT),
        (slot(0, readonly=True, base=0x4000_0000), EINVAL),
        (GetDirtyLog(0), ENOENT),
        (GetDirtyLog(7), ENOENT),
        (GetDirtyLog(40_000), EINVAL),
        (ClearDirtyLog(0, 1, 64, ()), EINVAL),
        (SetSmcccFilter(0xC600_0000, 0, FORWARD), EINVAL),
        (SetSmcccFilter(0xC600_0000, 0x4000_0000, FORWARD), EINVAL),
        (SetSmcccFilter(0, 0, FORWARD), EINVAL),
        (SetSmcccFilter(0xC600_0000, 1, 3), EINVAL),
        (SetSmcccFilter(0xC600_0000, 1, FORWARD, 1), EINVAL),
        (SetStealTime(SECOND), EINVAL),
    ],
)
def test_what_the_kernel_refuses_is_refused_with_its_errno(action: Action, errno: int) -> None:
    assert told(before=(Attempt(action, errno),)).ended is not Ending.NOT_REFUSED


def test_no_record_of_stolen_time_is_in_memory_that_kvm_may_not_write() -> None:
    before = (slot(readonly=True), Attempt(SetStealTime(SECOND), EINVAL))
    assert told(before=before).ended is not Ending.NOT_REFUSED


def test_a_slot_that_overlaps_is_looked_for_before_the_end_of_the_address_space() -> None:
    high = (1 << 40) - SIZE
    before = (slot(base=high), Attempt(slot(2, base=high, size=2 * SIZE), EEXIST))
    assert told(before=before).ended is not Ending.NOT_REFUSED


def test_another_errno_than_the_one_expected_is_told() -> None:
    trace = told(before=(Attempt(slot(size=0), EEXIST),))
    assert trace.ended is Ending.NOT_REFUSED
    assert "EINVAL" in trace.refused
    assert "expected EEXIST" in trace.refused


def test_pages_that_are_not_dirty_as_expected_are_told() -> None:
    trace = told(before=(slot(log_dirty=True), GetDirtyLog(1, (3,))))
    assert trace.ended is Ending.UNEXPECTED
    assert trace.refused == "KVM_GET_DIRTY_LOG slot 1 gave pages none, expected 3"


def test_a_slot_that_is_deleted_and_made_again_has_the_memory_that_it_had() -> None:
    before = (slot(), WriteMemory(SECOND, b"\x2a"), slot(size=0), slot())
    trace = told(*LOAD, before=before, observe=("x2",))
    assert trace.exits[0].regs["x2"] == 0x2A


def test_what_was_mapped_of_a_slot_that_moves_is_not_there_any_more() -> None:
    words = (*STORE, BRK, *LOAD)
    on = ((0, (slot(base=0x6000_0000),)),)
    trace = told(*words, before=(slot(),), on=on, skip_brk="always")
    assert [exit_.exit for exit_ in trace.exits[:2]] == ["DEBUG", "MMIO"]


def test_code_of_a_slot_that_is_deleted_runs_no_more() -> None:
    nop_and_back = (0xD503_201F, 0xD65F_03C0)
    blr = (w.movz(0, 0x5000, shift=16), 0xD63F_0000)
    data = b"".join(word.to_bytes(4, "little") for word in nop_and_back)
    before = (slot(), WriteMemory(SECOND, data))
    on = ((0, (slot(size=0), slot(size=0x2000), WriteMemory(SECOND, BRK.to_bytes(4, "little")))),)
    trace = told(*blr, BRK, *blr, before=before, on=on, skip_brk="always")
    assert [exit_.pc for exit_ in trace.exits[:2]][1] == SECOND


@pytest.mark.parametrize("access", ["none", "unmapped", "past_end"])
@pytest.mark.parametrize("words", [LOAD, STORE])
def test_an_access_to_memory_that_is_not_there_fails(
    access: Access, words: tuple[int, ...]
) -> None:
    trace = told(*words, before=(slot(), SetHostMapping(1, access)))
    assert (trace.exits[0].errno, trace.exits[0].exit) == (EFAULT, "UNKNOWN")


def test_memory_that_may_be_read_can_be_read() -> None:
    trace = told(*LOAD, *STORE, before=(slot(), SetHostMapping(1, "read")))
    assert (trace.exits[0].errno, trace.exits[0].pc & 0xF) == (EFAULT, 0xC)


def test_memory_that_is_back_can_be_written() -> None:
    before = (slot(), SetHostMapping(1, "none"), SetHostMapping(1, "read_write"))
    assert told(*STORE, before=before).exits[0].exit == "DEBUG"


HELD = (slot(), WriteMemory(SECOND + 0x1000, b"\x2a"))
LOAD_1000 = (w.movz(0, 0x5000, shift=16), 0xF948_0002)  # ldr x2, [x0, #0x1000]
MISSING = (*HELD, DiscardMemory(1, userfaultfd=True))


@pytest.mark.parametrize(("refilled", "found"), [(False, 0), (True, 0x2A)])
def test_memory_that_is_discarded_is_zero_or_put_back(refilled: bool, found: int) -> None:
    before = (*HELD, DiscardMemory(1, userfaultfd=refilled))
    assert told(*LOAD_1000, before=before, observe=("x2",)).exits[0].regs["x2"] == found


def test_what_the_guest_had_mapped_is_gone_when_it_is_discarded() -> None:
    on = ((0, (DiscardMemory(1),)),)
    trace = told(
        *LOAD_1000, BRK, *LOAD_1000, before=HELD, on=on, skip_brk="always", observe=("x2",)
    )
    assert [exit_.regs["x2"] for exit_ in trace.exits[:2]] == [0x2A, 0]


@pytest.mark.parametrize(
    ("faults", "refused"),
    [
        (GetUserfaults(1, (0, 1), (0,)), ""),
        (
            GetUserfaults(1, (1, 2)),
            "the userfaultfd of slot 1 was asked for 0 by a write, 1, expected 1, 2",
        ),
    ],
)
def test_a_userfaultfd_tells_each_page_once(faults: GetUserfaults, refused: str) -> None:
    on = ((0, (faults, GetUserfaults(1, ()))),)
    words = (*STORE, *LOAD_1000, *STORE, BRK, *LOAD_1000)
    assert told(*words, before=MISSING, on=on, skip_brk="always").refused == refused


def test_a_userfaultfd_does_not_tell_what_the_vmm_touches() -> None:
    before = (*MISSING, WriteMemory(SECOND + 0x1008, b"\x01"))
    on = ((0, (GetUserfaults(1, ()),)),)
    trace = told(*LOAD_1000, BRK, before=before, on=on, observe=("x2",), skip_brk="always")
    assert (trace.exits[0].regs["x2"], trace.refused) == (0x2A, "")


def test_a_userfaultfd_is_not_asked_where_nothing_is_let_through() -> None:
    before = (*MISSING, SetHostMapping(1, "none"))
    on = ((0, (GetUserfaults(1, ()),)),)
    trace = told(*LOAD_1000, before=before, on=on)
    assert (trace.exits[0].errno, trace.refused) == (EFAULT, "")


def test_a_large_slot_is_logged_page_by_page() -> None:
    large = Memslot(0x8000_0000, 64 << 20)
    words = (w.movz(0, 0x8000, shift=16), 0xF900_0001, BRK, 0xF900_0001, 0xF920_0001)
    log = SetMemoryRegion(1, large.base, large.size, log_dirty=True)
    on = ((0, (log,)), (1, (GetDirtyLog(1, (0, 4)),)))
    trace = told(*words, before=(AddMemslot(large),), on=on, skip_brk="always")
    assert not trace.refused


@pytest.mark.parametrize("kernel", KNOWN_RELEASES)
def test_a_step_over_a_store_that_is_logged_is_one_step(kernel: str) -> None:
    before = (slot(log_dirty=True),)
    case = code(*STORE, w.movz(3, 1), BRK, before=before, debug=GuestDebug(0x1_0003))
    plain = code(*STORE, w.movz(3, 1), BRK, before=(slot(),), debug=GuestDebug(0x1_0003))
    assert run(case, kernel).exits == run(plain, kernel).exits

"""What a debugger's user sees: skipped and doubly reported instructions, by name."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from vcpu_scenario.case import Case, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug
from vcpu_scenario.trace import Exit, Stop, StopReason, Trace
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import StopFinding
from vcpu_scenario.verdict.stops import compare_stops, findings

from tests.entries import entered

from .build import (
    BRK_7,
    CASE,
    FAKED,
    GUEST,
    PENDING,
    STEP,
    STEPPING,
    SYMBOLS,
    has_read,
    span,
    stepped,
    stop,
    wanted_stop,
)


def exits_of(stops: Sequence[Stop], hsr: int = STEP) -> list[Exit]:
    """The exits that make a VMM stop so, with MMIO where it does not stop; of a software step
    ``hsr`` is the syndrome."""
    exits = [has_read("poll")] * (max(stop.exit for stop in stops) + 1)
    for told in stops:
        syndrome = BRK_7 if told.reason == "brk" else hsr
        exits[told.exit] = Exit("DEBUG", 0, 0, told.pc, {"hsr": syndrome, "far": 0}, {})
    return exits


def found(
    stops: list[Stop], hsr: int = STEP, case: Case = CASE, guest: Guest = GUEST
) -> tuple[StopFinding, ...]:
    return findings(entered(case, Trace(tuple(exits_of(stops, hsr)))), stops, guest)


def named(stops: list[Stop], hsr: int = STEP, case: Case = CASE) -> list[tuple[str, str, int]]:
    return [(each.kind, each.place.name, each.stop) for each in found(stops, hsr, case)]


def test_stops_at_every_instruction_are_faultless() -> None:
    stops = [stop("poll", 0), stop("next", 2), stop("done", 3), stop("done", 4, "brk")]
    assert named(stops) == []


def test_an_instruction_that_ran_between_two_stops_was_skipped() -> None:
    assert named([stop("poll", 0), stop("done", 2)]) == [("skipped", "next", 1)]


def test_a_stop_that_repeats_without_progress_was_reported_twice() -> None:
    stops = [stop("poll", 0), stop("poll", 1), stop("next", 2), stop("next", 3)]
    for hsr in (PENDING, FAKED):
        assert named(stops, hsr) == [("twice", "poll", 1), ("twice", "next", 3)]


def test_a_stop_after_mmio_at_its_pc_is_a_repeat() -> None:
    """QEMU with the patch of 2017 stops there, and KVM has completed nothing by then."""
    stops = [stop("poll", 0), stop("poll", 1)]
    (twice,) = findings(entered(CASE, Trace((stepped("poll"), has_read("poll")))), stops, GUEST)
    assert (twice.kind, twice.stop) == ("twice", 1)


def test_the_same_breakpoint_again_is_a_repeat_but_reaching_it_by_a_step_is_not() -> None:
    stops = [stop("done", 0), stop("done", 1, "brk"), stop("done", 2, "brk")]
    assert named(stops) == [("twice", "done", 2)]


def test_nothing_is_skipped_where_the_vcpu_was_not_stepped() -> None:
    running = replace(CASE, debug=None)
    assert named([stop("poll", 0), stop("done", 2)], case=running) == []


def test_nothing_is_skipped_while_stepping_is_off() -> None:
    off = replace(CASE, on=((0, (SetGuestDebug(GuestDebug()),)), (2, (SetGuestDebug(STEPPING),))))
    assert named([stop("poll", 0), stop("done", 2)], case=off) == []
    assert named([stop("poll", 3), stop("done", 4)], case=off) == [("skipped", "next", 1)]


def at_zero(*words: int) -> Guest:
    code = b"".join(word.to_bytes(4, "little") for word in words)
    return Guest(replace(CASE, slots=(Memslot(0, 0x1000),), loads=(Load(0, code),)), {"loop": 0})


TWICE_AT_ZERO = [Stop(0, StopReason.STEP, {}, 0), Stop(0, StopReason.STEP, {}, 1)]


def test_a_branch_to_itself_stops_where_it_stopped() -> None:
    assert found(TWICE_AT_ZERO, guest=at_zero(0x1400_0000)) == ()


def test_a_branch_to_itself_that_was_not_executed_is_reported_twice() -> None:
    (twice,) = found(TWICE_AT_ZERO, FAKED, guest=at_zero(0x1400_0000))
    assert twice.kind == "twice"


def test_a_stop_after_a_round_of_a_loop_is_no_repeat_but_skips_the_rest_of_the_round() -> None:
    """From 5.0 to 5.10 the step over `ldr` ends behind `tbnz`, which may lead back to `ldr`."""
    stops = [Stop(0, StopReason.STEP, {}, 0), Stop(0, StopReason.STEP, {}, 2)]
    (skipped,) = found(stops, guest=at_zero(0xB940_1801, 0x372F_FFE1))
    assert (skipped.kind, skipped.place.name, skipped.stop) == ("skipped", "loop+0x4", 1)


def test_a_round_whose_way_is_not_known_is_neither() -> None:
    ret = 0xD65F_03C0
    assert found(TWICE_AT_ZERO, guest=at_zero(ret)) == ()


def test_an_exception_taken_again_is_no_repeat() -> None:
    """Where there is no code, and where an SVC is at its own vector."""
    assert (
        found([Stop(0x200, StopReason.STEP, {}, 0), Stop(0x200, StopReason.STEP, {}, 1)], PENDING)
        == ()
    )
    assert found(TWICE_AT_ZERO, PENDING, guest=at_zero(0xD400_0001)) == ()


def test_stops_as_expected_differ_in_nothing() -> None:
    pattern = [wanted_stop(1, "poll"), wanted_stop(2, "done", "brk", x1=0x90)]
    stops = [stop("poll", 0), stop("done", 2, "brk", x1=0x90)]
    assert list(compare_stops(pattern, stops, GUEST, span(20))) == []


def test_a_stop_that_never_came_names_the_skipped_instruction() -> None:
    pattern = [wanted_stop(n, label) for n, label in enumerate(("poll", "next", "done"))]
    stops = [stop("poll", 0), stop("done", 2)]
    (mismatch,) = compare_stops(pattern, stops, GUEST, span(20))
    assert (mismatch.kind, mismatch.message) == ("missing stop", "missing stop: at next")
    assert mismatch.span == span(1)
    assert mismatch.notes == (
        "stop 1 came next: stop at done (step)",
        "skipped: next: add x2, x2, #1 was never reported as a stop",
    )


def test_a_stop_behind_the_last_one_is_not_called_skipped() -> None:
    pattern = [wanted_stop(n, label) for n, label in enumerate(("poll", "next"))]
    (mismatch,) = compare_stops(pattern, [stop("poll", 0)], GUEST, span(20))
    assert mismatch.notes == (
        "no further stop came",
        "next: add x2, x2, #1 was never reported as a stop",
    )


def test_a_stop_too_many_names_the_instruction_reported_twice() -> None:
    pattern = [wanted_stop(n, label) for n, label in enumerate(("poll", "next"))]
    stops = [stop("poll", 0), stop("poll", 1), stop("next", 2)]
    twice = found(stops, PENDING)
    (mismatch,) = compare_stops(pattern, stops, GUEST, span(20), twice)
    assert mismatch.message == "extra stop: stop at poll (step) is stop 1"
    assert mismatch.notes == (
        "expected here: stop at next",
        "reported twice: poll, without progress in between",
    )
    (mismatch,) = compare_stops(pattern, stops, GUEST, span(20))
    assert mismatch.notes == ("expected here: stop at next",)


def test_a_stop_where_none_was_expected_points_at_the_clause() -> None:
    (mismatch,) = compare_stops([], [stop("poll", 0)], GUEST, span(20))
    assert mismatch.span == span(20)


def test_a_stop_for_another_reason_is_a_difference() -> None:
    (mismatch,) = compare_stops([wanted_stop(1, "done", "brk")], [stop("done", 0)], GUEST, span(20))
    assert mismatch.message == "reason of stop 0: expected brk, found step"


def test_a_stop_elsewhere_is_a_difference_of_pc() -> None:
    (mismatch,) = compare_stops([wanted_stop(1, "next")], [stop("done", 0)], GUEST, span(20))
    assert mismatch.message == "pc of stop 0: expected next, found done"


def test_registers_are_those_the_debugger_reads_at_the_stop() -> None:
    pattern = [wanted_stop(1, "next", x1=0x90)]
    (mismatch,) = compare_stops(pattern, [stop("next", 0, x1=0)], GUEST, span(20))
    assert mismatch.message == "x1 of stop 0: expected 0x90, found 0x0"
    (mismatch,) = compare_stops(pattern, [stop("next", 0)], GUEST, span(20))
    assert mismatch.found == "nothing: it was not observed"


def test_symbols_are_those_of_the_program() -> None:
    assert SYMBOLS["done"] == stop("done", 0).pc

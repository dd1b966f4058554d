"""What a debugger's user sees: skipped and doubly reported instructions, by name."""

from __future__ import annotations

from dataclasses import replace

from runner.case import Case, GuestDebug, Load, Memslot, SetGuestDebug
from runner.trace import Stop
from runner.verdict.guest import Guest
from runner.verdict.stops import compare_stops, findings

from .build import CASE, GUEST, STEPPING, SYMBOLS, span, stop, wanted_stop


def named(stops: list[Stop], case: Case = CASE) -> list[tuple[str, str, int]]:
    return [(found.kind, found.place.name, found.stop) for found in findings(case, stops, GUEST)]


def test_stops_at_every_instruction_are_faultless() -> None:
    stops = [stop("poll", 0), stop("next", 2), stop("done", 3), stop("done", 4, "brk")]
    assert named(stops) == []


def test_an_instruction_that_ran_between_two_stops_was_skipped() -> None:
    assert named([stop("poll", 0), stop("done", 2)]) == [("skipped", "next", 1)]


def test_a_stop_that_repeats_without_progress_was_reported_twice() -> None:
    stops = [stop("poll", 0), stop("poll", 1), stop("next", 2), stop("next", 3)]
    assert named(stops) == [("twice", "poll", 1), ("twice", "next", 3)]


def test_the_same_breakpoint_again_is_a_repeat_but_reaching_it_by_a_step_is_not() -> None:
    stops = [stop("done", 0), stop("done", 1, "brk"), stop("done", 2, "brk")]
    assert named(stops) == [("twice", "done", 2)]


def test_nothing_is_skipped_where_the_vcpu_was_not_stepped() -> None:
    running = replace(CASE, debug=None)
    assert named([stop("poll", 0), stop("done", 2)], running) == []


def test_nothing_is_skipped_while_stepping_is_off() -> None:
    off = replace(CASE, on=((0, (SetGuestDebug(GuestDebug()),)), (2, (SetGuestDebug(STEPPING),))))
    assert named([stop("poll", 0), stop("done", 2)], off) == []
    assert named([stop("poll", 3), stop("done", 4)], off) == [("skipped", "next", 1)]


def test_a_branch_to_itself_stops_where_it_stopped() -> None:
    case = replace(CASE, loads=(Load(0, (0x1400_0000).to_bytes(4, "little")),))
    case = replace(case, slots=(Memslot(0, 0x1000),))
    stops = [Stop(0, "step", {}, 0), Stop(0, "step", {}, 1)]
    assert findings(case, stops, Guest(case, {})) == ()


def test_an_exception_taken_again_where_there_is_no_code_is_no_repeat() -> None:
    assert findings(CASE, [Stop(0x200, "step", {}, 0), Stop(0x200, "step", {}, 1)], GUEST) == ()


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


def test_a_stop_too_many_names_the_instruction_reported_twice() -> None:
    pattern = [wanted_stop(n, label) for n, label in enumerate(("poll", "next"))]
    stops = [stop("poll", 0), stop("poll", 1), stop("next", 2)]
    (mismatch,) = compare_stops(pattern, stops, GUEST, span(20))
    assert mismatch.message == "extra stop: stop at poll (step) is stop 1"
    assert mismatch.notes == (
        "expected here: stop at next",
        "reported twice: poll, without progress in between",
    )


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

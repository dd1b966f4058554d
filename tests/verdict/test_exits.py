"""Every way in which the exits can differ is named in words, at the line it breaks."""

from __future__ import annotations

from collections.abc import Sequence

from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.trace import Exit
from vcpu_scenario.verdict.exits import compare_exits, compare_never
from vcpu_scenario.verdict.records import Mismatch

from .build import (
    BRK_7,
    GUEST,
    LINES,
    PENDING,
    STEP,
    SYMBOLS,
    expected,
    failed,
    has_read,
    read,
    span,
    step,
    stepped,
)

PATTERN = (
    step(31, "poll"),
    read(32, "poll"),
    step(33, "next", PENDING),
    step(34, "done"),
    step(35, "done", BRK_7),
)
AS_EXPECTED = (
    stepped("poll", x0=0x9000000, x1=0),
    has_read("poll"),
    stepped("next", PENDING, x1=0x90),
    stepped("done"),
    stepped("done", BRK_7),
)


def compared(pattern: Sequence[ExpectedExit], exits: Sequence[Exit]) -> list[Mismatch]:
    return list(compare_exits(pattern, exits, GUEST, span(20)))


def only(pattern: Sequence[ExpectedExit], exits: Sequence[Exit]) -> Mismatch:
    found = compared(pattern, exits)
    assert len(found) == 1, [mismatch.message for mismatch in found]
    return found[0]


def test_exits_as_expected_differ_in_nothing() -> None:
    assert compared(PATTERN, AS_EXPECTED) == []


def test_a_missing_exit_is_named_at_its_line_with_what_came_instead() -> None:
    mismatch = only(PATTERN, (*AS_EXPECTED[:2], stepped("done"), AS_EXPECTED[4]))
    assert mismatch.kind == "missing"
    assert mismatch.message == "missing: debug exit, step at next"
    assert mismatch.span == span(33)
    assert mismatch.notes == ("exit 2 came next: debug exit, step at done",)
    assert mismatch.place is not None
    assert mismatch.place.instruction == "add x2, x2, #1"
    assert mismatch.place.source == LINES[SYMBOLS["next"]]


def test_an_extra_exit_is_named_at_the_line_that_was_due() -> None:
    exits = (*AS_EXPECTED[:2], stepped("poll"), *AS_EXPECTED[2:])
    mismatch = only(PATTERN, exits)
    assert mismatch.message == "extra: debug exit, step at poll came as exit 2"
    assert mismatch.span == span(33)
    assert mismatch.exit == 2
    assert mismatch.notes == ("expected here: debug exit, step at next",)


def test_an_exit_after_the_last_one_is_extra() -> None:
    mismatch = only(PATTERN, (*AS_EXPECTED, has_read("poll")))
    assert mismatch.span == span(35)
    assert mismatch.notes == ("nothing more was expected",)


def test_an_exit_where_none_was_expected_is_extra_at_the_clause() -> None:
    assert only((), AS_EXPECTED[:1]).span == span(20)


def test_a_run_without_exits_misses_them_all() -> None:
    found = compared(PATTERN[:2], ())
    assert [mismatch.kind for mismatch in found] == ["missing", "missing"]
    assert found[0].notes == ("no further exit came",)


def test_an_exit_that_came_elsewhere_is_out_of_order_and_not_missing() -> None:
    exits = (AS_EXPECTED[0], AS_EXPECTED[2], AS_EXPECTED[1], *AS_EXPECTED[3:])
    mismatch = only(PATTERN, exits)
    assert mismatch.kind == "out of order"
    assert mismatch.message in (
        "out of order: MMIO read of 4 bytes from uart+0x18 at poll came as exit 2,"
        " later than expected",
        "out of order: debug exit, step at next came as exit 1, earlier than expected",
    )


def test_what_is_early_and_what_is_late_is_told_apart() -> None:
    pattern = [step(n, label) for n, label in enumerate(("start", "poll", "next", "done"))]
    order = [stepped(label) for label in ("poll", "next", "done", "start")]
    assert only(pattern, order).message == (
        "out of order: debug exit, step at start came as exit 3, later than expected"
    )
    order = [stepped(label) for label in ("done", "start", "poll", "next")]
    assert only(pattern, order).message == (
        "out of order: debug exit, step at done came as exit 0, earlier than expected"
    )


def test_a_wrong_field_is_named_with_both_values_in_words() -> None:
    exits = (*AS_EXPECTED[:2], stepped("next", STEP), *AS_EXPECTED[3:])
    mismatch = only(PATTERN, exits)
    assert (mismatch.kind, mismatch.field, mismatch.exit) == ("field", "hsr", 2)
    assert mismatch.message == (
        "field hsr: expected 0xca000022 (software step, ISV=0: nothing was executed),"
        " found 0xcb000022 (software step, ISV=1: one instruction was executed)"
    )


def test_a_wrong_pc_of_the_same_exit_is_a_wrong_field() -> None:
    mismatch = only(PATTERN, (AS_EXPECTED[0], has_read("next"), *AS_EXPECTED[2:]))
    assert mismatch.message == "field pc: expected poll (0x40000004), found next (0x40000008)"
    assert mismatch.span == span(32)


def test_an_exit_of_another_kind_at_the_same_pc_is_no_wrong_field() -> None:
    kinds = [mismatch.kind for mismatch in compared([read(1, "poll")], [stepped("poll")])]
    assert sorted(kinds) == ["extra", "missing"]


def test_a_failed_run_is_not_taken_for_the_exit_it_leaves_behind() -> None:
    found = compared([expected(1, exit="MMIO")], [failed(4, "poll")])
    assert sorted(mismatch.kind for mismatch in found) == ["extra", "missing"]


def test_a_failed_run_is_matched_by_its_errno() -> None:
    assert compared([expected(1, errno=4, ret=-1, pc=SYMBOLS["poll"])], [failed(4, "poll")]) == []


def test_anything_takes_a_failed_run_too() -> None:
    assert compared([expected(1, 0, None)], [failed(4, "poll"), *AS_EXPECTED]) == []


def test_a_register_is_checked_by_its_value_and_not_by_its_change() -> None:
    late = step(34, "done", regs={"x0": 0x9000000, "x1": 0x90})
    assert compared((*PATTERN[:3], late, PATTERN[4]), AS_EXPECTED) == []


def test_a_wrong_register_is_named_after_its_exit() -> None:
    late = step(34, "done", regs={"x1": 0x91})
    mismatch = only((*PATTERN[:3], late, PATTERN[4]), AS_EXPECTED)
    assert (mismatch.kind, mismatch.field) == ("register", "x1")
    assert mismatch.message == "register x1: expected 0x91, found 0x90"
    assert mismatch.notes == ("after exit 3: debug exit, step at done",)


def test_a_register_that_was_not_observed_is_said_to_be_so() -> None:
    mismatch = only([step(1, "poll", regs={"x9": 0})], AS_EXPECTED[:1])
    assert mismatch.found == "nothing: it was not observed"


def test_missing_repeats_of_one_exit_are_told_once() -> None:
    pattern = [expected(7, 30, 30, exit="DEBUG", pc=SYMBOLS["poll"])]
    mismatch = only(pattern, [stepped("poll")] * 10)
    assert mismatch.message == "missing: 20 of 30 times debug exit at poll"


def test_data_is_compared_for_as_many_bytes_as_were_asked_for() -> None:
    fields = {"addr": 0x0900_0000, "len": 4, "is_write": 1, "data": "2a00000011223344"}
    write = Exit("MMIO", 0, 0, SYMBOLS["poll"], fields, {})
    assert compared([expected(1, exit="MMIO", data=b"\x2a\0\0\0")], [write]) == []
    mismatch = only([expected(1, exit="MMIO", data=b"\x2b\0\0\0")], [write])
    assert mismatch.message == "field data: expected 2b 00 00 00, found 2a 00 00 00"


def test_a_list_of_data_is_compared_whole() -> None:
    event = Exit("SYSTEM_EVENT", 0, 0, 0, {"type": 1, "ndata": 1, "data": [0]}, {})
    assert compared([expected(1, exit="SYSTEM_EVENT", data=(0,))], [event]) == []
    mismatch = only([expected(1, exit="SYSTEM_EVENT", data=())], [event])
    assert mismatch.message == "field data: expected [], found [0x0]"


def test_fields_that_traces_leave_out_are_zero() -> None:
    assert compared([step(1, "poll", flags=0, hsr_high=0, errno=0)], AS_EXPECTED[:1]) == []
    mismatch = only([step(1, "poll", flags=1)], AS_EXPECTED[:1])
    assert mismatch.message == "field flags: expected 0x1, found 0x0"


def test_a_field_that_the_exit_does_not_have_is_found_to_be_nothing() -> None:
    assert only([expected(1, exit="DEBUG", ipa=4)], AS_EXPECTED[:1]).found == "nothing"


def test_what_must_never_come_is_named_where_it_first_came() -> None:
    banned = expected(41, exit="MMIO")
    (mismatch,) = compare_never([banned], (*AS_EXPECTED, has_read("next")), GUEST)
    assert mismatch.message == (
        "never expected: MMIO read of 4 bytes from uart+0x18 at poll came as exit 1 and 1 more"
    )
    assert mismatch.span == span(41)


def test_what_never_comes_is_no_mismatch() -> None:
    banned = expected(41, exit="MMIO", pc=SYMBOLS["done"])
    assert list(compare_never([banned], AS_EXPECTED, GUEST)) == []

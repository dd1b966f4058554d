"""The verdict as a whole: refusals, final state, endings."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Limits
from vcpu_scenario.expectation import (
    Acting,
    EventfdCheck,
    Expectation,
    Final,
    MemoryCheck,
    OutputCheck,
    RegisterCheck,
    RingCheck,
)
from vcpu_scenario.trace import Ending, Ring, RingEntry, Trace
from vcpu_scenario.verdict.judge import ending, judge
from vcpu_scenario.verdict.records import Mismatch

from .build import GUEST, SYMBOLS, check, clause, expected, span, step, stepped, stop, wanted_stop

REFUSED = Trace(error="KVM_ENABLE_CAP arm_nisv_to_user: errno 22", errno=22, ended=Ending.REFUSED)
RAN = Trace(exits=(stepped("poll", x0=5),), ended=Ending.EXIT_LIMIT)


def judged(expectation: Expectation, trace: Trace) -> list[Mismatch]:
    return list(judge(expectation, trace, (), GUEST, Limits(exits=1)))


def messages(expectation: Expectation, trace: Trace) -> list[str]:
    return [mismatch.message for mismatch in judged(expectation, trace)]


def test_a_clause_that_expects_nothing_is_met() -> None:
    assert messages(clause(), RAN) == []


def test_an_expected_refusal_is_met() -> None:
    assert messages(clause(refused=check("errno", 22)), REFUSED) == []


def test_a_refusal_with_another_errno_is_not() -> None:
    assert messages(clause(refused=check("errno", 7)), REFUSED) == [
        "the kernel refused the set-up: expected E2BIG, found EINVAL"
    ]


def test_a_refusal_that_did_not_come_is_named() -> None:
    assert messages(clause(refused=check("errno", 22)), RAN) == [
        "expected the kernel to refuse the set-up with EINVAL, but it ran"
    ]


def test_an_unexpected_refusal_is_the_only_mismatch() -> None:
    assert messages(clause([step(1, "poll")]), REFUSED) == [
        "the kernel refused the set-up: KVM_ENABLE_CAP arm_nisv_to_user: errno 22"
    ]


def test_an_action_that_was_refused_is_named() -> None:
    trace = replace(RAN, ended=Ending.REFUSED, refused="KVM_SET_VCPU_EVENTS")
    assert messages(clause([step(1, "poll"), step(2, "next")]), trace) == [
        "the kernel refused what the VMM did at exit 0: KVM_SET_VCPU_EVENTS",
        "missing: debug exit, step at next",
    ]


@pytest.mark.parametrize(("lines", "told"), [((7,), 7), ((7, 9), 20), ((), 20)])
def test_a_refusal_stands_where_its_action_does_if_one_text_alone_asks_for_it(
    lines: tuple[int, ...], told: int
) -> None:
    trace = replace(RAN, ended=Ending.REFUSED, refused="KVM_SET_VCPU_EVENTS")
    acting = (*(Acting(0, span(line)) for line in lines), Acting(1, span(8)))
    assert judged(clause([step(1, "poll")], acting=acting), trace)[0].span.line == told


def test_a_run_that_was_cut_says_so_with_what_is_missing() -> None:
    (mismatch,) = judged(clause([step(1, "poll"), step(2, "next")]), RAN)
    assert mismatch.notes == ("no further exit came", "the run was cut at its limit of 1 exits")


def test_only_the_last_missing_exit_says_why_the_run_ended() -> None:
    found = judged(clause([step(1, "poll"), step(2, "next"), step(3, "done")]), RAN)
    assert [len(mismatch.notes) for mismatch in found] == [1, 2]


def test_only_limits_of_the_runner_cut_a_run() -> None:
    cut = {Ending.EXIT_LIMIT, Ending.REPEATS, Ending.INTERRUPTED}
    assert {ended for ended in Ending if ended.is_cut} == cut


def test_endings_are_told_with_their_numbers() -> None:
    assert ending(Trace(ended=Ending.REPEATS), Limits(repeats=3)) == (
        "the run was cut after 3 repeats of the same exit"
    )
    assert ending(Trace(), Limits()) == ""


def test_stops_and_exits_that_must_not_come_are_judged_too() -> None:
    expectation = clause(never=(expected(5, exit="DEBUG"),), stops=(wanted_stop(6, "next"),))
    found = judge(expectation, RAN, [stop("poll", 0)], GUEST)
    assert [mismatch.kind for mismatch in found] == ["never", "stop"]


def final(**parts: object) -> Expectation:
    return clause(final=Final(**parts))  # type: ignore[arg-type]


def test_final_registers_are_those_read_at_the_end() -> None:
    checks = (RegisterCheck("x0", 5, "5", span(1)), RegisterCheck("x7", 9, "9", span(2)))
    assert messages(final(regs=checks), replace(RAN, final_regs={"x7": 9, "x0": 5})) == []
    assert messages(final(regs=checks), replace(RAN, final_regs={"x7": 8, "x0": 6})) == [
        "final x0: expected 0x5, found 0x6",
        "final x7: expected 0x9, found 0x8",
    ]


def test_a_register_that_was_not_read_at_the_end_is_not_what_it_was_at_an_exit() -> None:
    check_ = RegisterCheck("x0", 5, "5", span(1))
    assert messages(final(regs=(check_,)), RAN) == [
        "final x0: expected 0x5, found nothing: it was not read"
    ]


def test_memory_is_compared_inside_what_was_peeked() -> None:
    checks = (MemoryCheck(SYMBOLS["next"], b"\1\2", "1 2", span(1)),)
    assert messages(final(memory=checks), replace(RAN, memory={SYMBOLS["poll"]: b"abcd\1\2"})) == []
    (mismatch,) = judged(final(memory=checks), replace(RAN, memory={SYMBOLS["poll"]: b"abcd\1\3"}))
    assert mismatch.message == "memory at next: expected 01 02, found 01 03"
    assert mismatch.notes == ("first different byte: 0x40000009",)
    assert messages(final(memory=checks), RAN) == [
        "memory at next: expected 01 02, found nothing: it was not read"
    ]


def test_eventfds_are_counted() -> None:
    checks = (EventfdCheck(1, "doorbell", 2, span(1)),)
    assert messages(final(eventfds=checks), replace(RAN, eventfd=(0, 2))) == []
    assert messages(final(eventfds=checks), replace(RAN, eventfd=(2, 1))) == [
        "eventfd of doorbell: expected 2 signals, found 1 signal"
    ]
    assert messages(final(eventfds=checks), RAN) == [
        "eventfd of doorbell: expected 2 signals, found 0 signals"
    ]


def test_the_ring_is_compared_entry_by_entry() -> None:
    check_ring = RingCheck(((0x0900_0000, 1, b"\x2a"), (0x0900_0004, 4, b"\1\0\0\0")), span(1))
    first = RingEntry(0x0900_0000, 1, b"\x2a".ljust(8, b"\0"))
    second = RingEntry(0x0900_0004, 4, b"\1".ljust(8, b"\0"))
    assert messages(final(ring=check_ring), replace(RAN, ring=Ring(0, 2, (first, second)))) == []
    assert messages(final(ring=check_ring), replace(RAN, ring=Ring(0, 1, (second,)))) == [
        "entry 0 of the coalesced ring: expected 1 at uart = 2a, found 4 at uart+0x4 = 01",
        "entries in the coalesced ring: expected 2, found 1",
    ]
    assert messages(final(ring=check_ring), RAN) == [
        "entries in the coalesced ring: expected 2, found 0"
    ]


def test_output_is_what_a_device_sent() -> None:
    checks = (OutputCheck("uart", b"hi\n", "hi", span(1)),)
    assert messages(final(outputs=checks), replace(RAN, output={"uart": b"hi\n"})) == []
    assert messages(final(outputs=checks), RAN) == [
        "output of uart: expected 'hi\\n', found nothing"
    ]


def test_what_a_run_cut_at_its_limit_had_no_room_for_is_not_missing() -> None:
    """As with the README's first scenario on 4.15, where a step at the start comes first."""
    pattern = [step(1, "poll"), step(2, "next"), step(3, "done")]
    trace = Trace((stepped("start"), stepped("poll"), stepped("next")), ended=Ending.EXIT_LIMIT)
    (found,) = judge(clause(pattern), trace, (), GUEST, Limits(exits=3))
    assert found.kind == "extra"
    assert found.notes[1:] == (
        "the run was cut at its limit of 3 exits",
        "not reached: debug exit, step at done",
    )


def test_what_a_run_that_was_not_cut_lacks_is_missing() -> None:
    pattern = [step(1, "poll"), step(2, "next"), step(3, "done")]
    trace = Trace((stepped("start"), stepped("poll"), stepped("next")), ended=Ending.INTERRUPTED)
    found = judge(clause(pattern), trace, (), GUEST, Limits(exits=9))
    assert [mismatch.kind for mismatch in found] == ["extra", "missing"]


def final_x2(trace: Trace, value: int = 0x6B) -> tuple[str, ...]:
    check_ = RegisterCheck("x2", value, hex(value), span(1))
    (found,) = judge(clause(final=Final(regs=(check_,))), trace, (), GUEST)
    return found.notes


def test_a_wrong_register_at_the_end_says_at_which_exit_it_last_changed() -> None:
    trace = Trace(
        (stepped("poll", x2=0), stepped("next", x2=1), stepped("done", x1=5)), final_regs={"x2": 1}
    )
    assert final_x2(trace) == ("x2 last changed on the way to exit 1: debug exit, step at next",)


def test_a_wrong_register_that_never_changed_says_so() -> None:
    trace = Trace((stepped("poll", x2=0), stepped("done", x1=5)), final_regs={"x2": 0})
    assert final_x2(trace) == ("x2 is as it was at exit 0: debug exit, step at poll",)


def test_a_wrong_register_that_was_not_observed_says_how_to() -> None:
    trace = Trace((stepped("poll", x1=0),), final_regs={"x2": 4})
    assert final_x2(trace) == ("`observe: [x2]` shows at which exit it changes",)


def test_a_register_that_changed_after_the_last_exit_says_so() -> None:
    trace = Trace((stepped("poll", x2=0),), final_regs={"x2": 4})
    assert final_x2(trace) == ("x2 was 0x0 from exit 0 on, and changed after the last",)

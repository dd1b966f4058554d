"""The verdict on one run: every way in which it parts from what a clause expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from errno import ENOSYS
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.case import Limits
from vcpu_scenario.expectation import Check, Expectation, Xfail
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Ending, Stop, Trace, Unmodelled
from vcpu_scenario.verdict.doings import asked_at, not_done, not_reacted, not_typed
from vcpu_scenario.verdict.exits import NO_FURTHER, can_begin, compare_exits, compare_never
from vcpu_scenario.verdict.final import compare_final
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import Kind, Mismatch, StopFinding
from vcpu_scenario.verdict.stops import compare_stops
from vcpu_scenario.verdict.whole import cut_unasked, is_asked_for
from vcpu_scenario.verdict.words import ENDINGS, INTERRUPTED_BY_VMM, NO_SYNDROME


def judge(
    expectation: Expectation,
    trace: Trace,
    stops: Sequence[Stop],
    guest: Guest,
    limits: Limits | None = None,
    found: Sequence[StopFinding] = (),
) -> tuple[Mismatch, ...]:
    """Every difference between ``expectation`` and the run; none where all is as expected.

    ``found`` is what goes wrong in the stops whatever is expected of them.
    """
    if expectation.refused is not None or trace.error is not None:
        return tuple(_refusal(expectation, trace))
    mismatches = list(_refused_action(expectation, trace))
    limits = limits or Limits()
    if expectation.exits is not None:
        exits = compare_exits(expectation.exits, trace.exits, guest, expectation.span)
        mismatches += _with_ending(list(exits), trace, limits)
    mismatches += not_done(expectation.acting, trace, ending(trace, limits))
    mismatches += not_reacted(expectation.reacting, trace, limits, ending(trace, limits))
    mismatches += not_typed(expectation.typing, trace, ending(trace, limits))
    mismatches += compare_never(expectation.never, trace.exits, guest)
    if expectation.stops is not None:
        mismatches += compare_stops(expectation.stops, stops, guest, expectation.span, found)
    mismatches += compare_final(expectation.final, trace, guest)
    return tuple(mismatches) or tuple(cut_unasked(expectation, trace, ending(trace, limits)))


def judge_so_far(
    expectation: Expectation,
    trace: Trace,
    stops: Sequence[Stop],
    guest: Guest,
    found: Sequence[StopFinding] = (),
) -> Iterator[Mismatch]:
    """The differences in what came of a run that ended at what is not modelled.

    What was still to come is not missing, and the final state is not known.
    """
    if expectation.exits is not None and not can_begin(expectation.exits, trace.exits):
        exits = compare_exits(expectation.exits, trace.exits, guest, expectation.span)
        yield from _without_the_last_missing(list(exits))
    yield from compare_never(expectation.never, trace.exits, guest)
    if expectation.stops is not None:
        wanted = expectation.stops[: len(stops)]
        yield from compare_stops(wanted, stops, guest, expectation.span, found)


def _without_the_last_missing(mismatches: list[Mismatch]) -> list[Mismatch]:
    kept = [one for one in mismatches if NO_FURTHER not in one.notes]
    return kept or mismatches


def reached(limit: Unmodelled, exits: int, guest: Guest) -> str:
    """Where a run came to what is not modelled, in words."""
    if limit.pc is None:
        return "before the first KVM_RUN"
    place = guest.place(limit.pc)
    code = f" (`{place.instruction}`)" if place.instruction else ""
    after = f"after exit {exits - 1}" if exits else "before the first exit"
    return f"{after}, with pc at {place.name}{code}"


def unexpected_pass(xfail: Xfail) -> Mismatch:
    """What is wrong where all is as expected of a clause that is known not to hold."""
    return Mismatch(
        Kind.UNEXPECTED_PASS,
        "unexpected pass: all is as expected, and `xfail` says that it is not",
        xfail.span,
        notes=(f"xfail: {xfail.reason}", f"see {xfail.link}", "remove `xfail` if it is fixed"),
    )


def as_known(
    expectation: Expectation, trace: Trace, mismatches: Sequence[Mismatch]
) -> tuple[bool, tuple[Mismatch, ...]]:
    """Whether ``mismatches`` are the failure that its ``xfail`` knows of, and what to tell.

    It knows of what the clause expects of the run. That the kernel answers otherwise than is said
    outside of the clause, in a set-up or under ``on``, is no such thing, nor is it that something
    said there was never done and nothing else is wrong, and of a run that was cut nothing has
    failed.
    """
    assert expectation.xfail is not None
    if not mismatches:
        return False, (unexpected_pass(expectation.xfail),)
    undone = all(_is_undone_elsewhere(one, expectation) for one in mismatches)
    cut = expectation.refused is None and any(cut_unasked(expectation, trace, ""))
    if not (undone or cut or _is_of_others(expectation, trace)):
        return True, tuple(mismatches)
    first, *others = mismatches
    notes = (*first.notes, _NOT_KNOWN.format(reason=expectation.xfail.reason))
    return False, (replace(first, notes=notes), *others)


def _is_of_others(expectation: Expectation, trace: Trace) -> bool:
    """Whether the run ended at what the clause says nothing of."""
    if trace.error is not None:
        return expectation.refused is None
    if not trace.refused:
        return False
    asking = _asking(expectation, trace)
    return asking is None or not expectation.span.covers(asking)


def _is_undone_elsewhere(mismatch: Mismatch, expectation: Expectation) -> bool:
    """Whether it is that something was not done which is asked for outside of the clause."""
    return mismatch.kind is Kind.NOT_DONE and not expectation.span.covers(mismatch.span)


_NOT_KNOWN: Final = (
    "xfail: {reason}: that is for what the clause expects of the run, which this is not"
)


def ending(trace: Trace, limits: Limits) -> str:
    """Why the run ended, in words; empty for an ending that is not known."""
    if trace.ended is Ending.INTERRUPTED and is_asked_for(trace):
        return INTERRUPTED_BY_VMM
    words = ENDINGS.get(trace.ended, "")
    if trace.ended is Ending.ERROR:
        last = trace.exits[-1]
        words += f" with {errno_name(last.errno)}"
        words += NO_SYNDROME.format(pc=last.pc) if last.errno == ENOSYS else ""
    return words.format(exits=limits.exits, repeats=limits.repeats)


def ended_as_expected(expectation: Expectation, trace: Trace) -> bool:
    """Whether a run that is as expected had its limit of exits from what is expected of them, or
    was cut where it had come to its end: then to have been cut says nothing."""
    return bool(expectation.exits) and trace.ended is Ending.EXIT_LIMIT


_MOST_UNREACHED: Final = 3


def _with_ending(mismatches: list[Mismatch], trace: Trace, limits: Limits) -> list[Mismatch]:
    """Says with the last missing exit why no further one came, if none did; and that some were
    not reached, rather than missing, where a run cut at its limit had other exits instead."""
    words = ending(trace, limits)
    if not words or not mismatches or not _is_behind_all(mismatches[-1]):
        return mismatches
    others = list(mismatches)
    while others and _is_behind_all(others[-1]):
        others.pop()
    if trace.ended is Ending.EXIT_LIMIT and any(other.kind is Kind.EXTRA for other in others):
        unreached = [found.message.removeprefix("missing: ") for found in mismatches[len(others) :]]
        notes = [words, *(f"not reached: {what}" for what in unreached[:_MOST_UNREACHED])]
        if (more := len(unreached) - _MOST_UNREACHED) > 0:
            notes.append(f"and {more} more")
        last = others[-1]
        return [*others[:-1], replace(last, notes=(*last.notes, *notes))]
    last = mismatches[-1]
    return [*mismatches[:-1], replace(last, notes=(*last.notes, words))]


def _is_behind_all(mismatch: Mismatch) -> bool:
    """Whether it is a missing exit after the last that came."""
    return mismatch.kind is Kind.MISSING and NO_FURTHER in mismatch.notes


def _refusal(expectation: Expectation, trace: Trace) -> Iterator[Mismatch]:
    wanted = expectation.refused
    if wanted is None:
        yield Mismatch(
            Kind.REFUSED,
            f"the kernel refused the set-up: {trace.error}",
            _asking(expectation, trace) or expectation.span,
            found=errno_name(trace.errno),
        )
    elif trace.error is None:
        yield Mismatch(
            Kind.REFUSED,
            f"expected the kernel to refuse the set-up with {_errno(wanted)}, but it ran",
            wanted.span,
            expected=_errno(wanted),
            notes=tuple(later.message for later in _refused_action(expectation, trace)),
        )
    elif trace.errno != wanted.value:
        found = errno_name(trace.errno)
        yield Mismatch(
            Kind.REFUSED,
            f"the kernel refused the set-up: expected {_errno(wanted)}, found {found}",
            wanted.span,
            field="errno",
            expected=_errno(wanted),
            found=found,
            notes=(trace.error,),
        )
    elif expectation.always_refused and trace.left:
        for span in dict.fromkeys(asked_at(expectation, trace)[-trace.left :]):
            yield Mismatch(
                Kind.NOT_DONE,
                "not done: what the VMM does behind what the kernel refused",
                span,
                notes=(trace.error, _SAY_ERRNO),
            )


_SAY_ERRNO: Final = (
    "no clause has a run in which it is done: leave it out, or say `errno` beside an action that is"
    " refused"
)


def _errno(check: Check) -> str:
    return errno_name(check.value) if isinstance(check.value, int) else check.written


def _refused_action(expectation: Expectation, trace: Trace) -> Iterator[Mismatch]:
    if trace.refused:
        last = len(trace.exits) - 1
        before = "exit" if trace.entries else "KVM_RUN"
        where = f" at exit {last}" if trace.exits else f" before the first {before}"
        yield Mismatch(
            Kind.REFUSED,
            f"{_WHO.get(trace.ended, _REFUSED)}{where}: {trace.refused}",
            _asking(expectation, trace) or expectation.span,
            exit=last if trace.exits else None,
        )


def _asking(expectation: Expectation, trace: Trace) -> Span | None:
    """The text that asks for the action that ended the run. A VMM may do it late, as it goes on:
    then the one text that asks for anything there. None if none or several do."""
    asked = asked_at(expectation, trace)
    if trace.asked:
        return asked[trace.asked - 1] if trace.asked <= len(asked) else None
    texts = {acting.span for acting in expectation.acting if acting.exit == len(trace.exits) - 1}
    return texts.pop() if trace.exits and len(texts) == 1 else None


_REFUSED: Final = "the kernel refused what the VMM did"
_WHO: Final = {
    Ending.NOT_REFUSED: "the kernel did not refuse as expected what the VMM did",
    Ending.UNEXPECTED: "the kernel did not answer as expected what the VMM did",
    Ending.VMM: "the VMM went no further",
}

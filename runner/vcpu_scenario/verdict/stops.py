"""What a debugger attached to the VMM was told, against what it should have been told."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from vcpu_scenario.expectation import ExpectedStop, RegisterCheck
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Entry, Stop, StopReason, Trace
from vcpu_scenario.verdict.align import GAP, Pair, align, came_next
from vcpu_scenario.verdict.exits import too_long
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.passing import past_stop
from vcpu_scenario.verdict.records import Kind, Mismatch, StopFinding
from vcpu_scenario.verdict.words import executed_one
from vcpu_scenario.vmm.debugger import stepping

_REASONS: Final = {
    StopReason.STEP: "step",
    StopReason.BRK: "BRK",
    StopReason.HARDWARE_BREAKPOINT: "hardware breakpoint",
    StopReason.WATCHPOINT: "watchpoint",
}
_SVC: Final = 0xD400_0001
_SVC_MASK: Final = 0xFFE0_001F


def findings(trace: Trace, stops: Sequence[Stop], guest: Guest) -> tuple[StopFinding, ...]:
    """The instructions that the stops skip and those that they report twice.

    An instruction is skipped where it was executed between two stops, or KVM moved pc over it, the
    vCPU was stepped all the way, and no stop was at its address. Where the machine does not say
    what was executed, it is what the code leads over. A stop is reported twice where it repeats
    without progress; to arrive at a breakpoint by a step and then hit it is progress, and so is to
    come round a loop.
    """
    calls = {entry.exit: n for n, entry in enumerate(trace.entries)}
    out: list[StopFinding] = []
    for n, (earlier, later) in enumerate(pairwise(stops), start=1):
        entries = trace.entries[calls[earlier.exit] + 1 : calls[later.exit] + 1]
        syndrome = trace.exits[later.exit].fields.get("hsr", 0)
        out += found_between(earlier, later, n, entries, syndrome, guest)
    return tuple(out)


def found_between(
    earlier: Stop,
    later: Stop,
    number: int,
    entries: Sequence[Entry],
    syndrome: int,
    guest: Guest,
) -> Iterator[StopFinding]:
    """What :func:`findings` finds of two stops, of which ``later`` has that number; ``entries`` are
    the calls between them, and ``syndrome`` is ``hsr`` of the exit that made the later one."""
    if not all(stepping(entry.debug) for entry in entries):
        return
    executed = _executed(entries)
    if earlier.pc == later.pc and not executed_one(syndrome):
        if _repeats(earlier, later) and _stays(guest, later.pc):
            yield StopFinding("twice", guest.place(later.pc), number)
        return
    if executed is None:
        executed = guest.way(earlier.pc, later.pc) or ()
    if later.reason is StopReason.STEP:
        for pc in _behind(earlier.pc, executed):
            yield StopFinding("skipped", guest.place(pc), number)


def _executed(entries: Sequence[Entry]) -> tuple[int, ...] | None:
    """The instructions executed in these runs, and those that KVM moved pc over in place of that;
    None where the machine does not say."""
    found: list[int] = []
    for entry in entries:
        inside = entry.inside
        if inside is None or inside.ran is None:
            return None
        found += [addr for addr in (inside.access, inside.jumped) if addr is not None]
        found += inside.ran
    return tuple(found)


def _behind(stop: int, executed: tuple[int, ...]) -> tuple[int, ...]:
    """What was executed after the instruction at the stop. An access that was in the middle of it
    at the stop, with pc behind it, comes first."""
    return executed[executed.index(stop) + 1 :] if stop in executed else ()


def _stays(guest: Guest, pc: int) -> bool:
    """Whether to be at ``pc`` again without an instruction that completed is no progress. It is
    where there is no code, or an SVC: each fetch or call takes the same exception again, and the
    architecture leaves open what ISV is after a step that took one."""
    word = guest.word(pc)
    return word is not None and word & _SVC_MASK != _SVC


def _repeats(earlier: Stop, later: Stop) -> bool:
    return later.reason is StopReason.STEP or later.reason == earlier.reason


def describe_stop(stop: Stop, guest: Guest) -> str:
    return f"stop at {guest.name(stop.pc)} ({_REASONS[stop.reason]})"


def compare_stops(
    pattern: Sequence[ExpectedStop],
    stops: Sequence[Stop],
    guest: Guest,
    clause: Span,
    found: Sequence[StopFinding] = (),
) -> Iterator[Mismatch]:
    """Yields what parts the stops expected from those told, in their order.

    ``clause`` is the text to point at where there is no better one; ``found`` is what
    :func:`findings` makes of the stops.
    """
    twice = {finding.stop for finding in found if finding.kind == "twice"}
    units = [_Unit() for _ in pattern]

    def cost(expected: int, actual: int) -> int:
        return _cost(pattern[expected], stops[actual])

    alignment = align(units, len(stops), cost)
    reported = {stop.pc for stop in stops}
    for pair, instead in zip(alignment.pairs, came_next(alignment.pairs), strict=True):
        if pair.actual is None:
            assert pair.expected is not None
            expected = pattern[pair.expected]
            yield _missing(expected, instead, stops, guest, expected.pc in reported)
        elif pair.expected is None:
            yield _extra(pattern, pair, stops, guest, clause, twice)
        else:
            yield from _differences(pattern[pair.expected], pair.actual, stops, guest)
    if alignment.cut:
        yield too_long("stops", alignment, clause)


class _Unit(Struct, frozen=True):
    least: int = 1
    most: int | None = 1


def _cost(expected: ExpectedStop, stop: Stop) -> int:
    if expected.pc != stop.pc:
        return GAP + 4
    other_reason = expected.reason is not None and expected.reason != stop.reason
    wrong = sum(stop.regs.get(check.reg) != check.value for check in expected.regs)
    return (GAP // 2 if other_reason else 0) + min(wrong, GAP // 2 - 1)


def _missing(
    expected: ExpectedStop,
    instead: int | None,
    stops: Sequence[Stop],
    guest: Guest,
    reported: bool,
) -> Mismatch:
    came = (
        "no further stop came"
        if instead is None
        else f"stop {instead} came next: {describe_stop(stops[instead], guest)}"
    )
    place = guest.place(expected.pc)
    notes = [came]
    if instead is not None:
        notes += past_stop(stops, instead)
    if not reported:
        what = f": {place.instruction}" if place.instruction else ""
        # Where no stop came any more, nothing shows that the guest got there.
        skipped = "" if instead is None else "skipped: "
        notes.append(f"{skipped}{place.name}{what} was never reported as a stop")
    return Mismatch(
        Kind.MISSING_STOP,
        f"missing stop: at {place.name}",
        expected.span,
        place=place,
        notes=tuple(notes),
    )


def _extra(
    pattern: Sequence[ExpectedStop],
    pair: Pair,
    stops: Sequence[Stop],
    guest: Guest,
    clause: Span,
    twice: Collection[int],
) -> Mismatch:
    index = pair.actual
    assert index is not None
    stop = stops[index]
    due = pattern[pair.before] if pair.before < len(pattern) else None
    notes = [f"expected here: stop at {due.written}" if due else "nothing more was expected"]
    if index in twice:
        notes.append(f"reported twice: {guest.name(stop.pc)}, without progress in between")
    last = pattern[-1].span if pattern else clause
    return Mismatch(
        Kind.EXTRA_STOP,
        f"extra stop: {describe_stop(stop, guest)} is stop {index}",
        due.span if due else last,
        exit=index,
        place=guest.place(stop.pc),
        notes=tuple(notes),
    )


def _differences(
    expected: ExpectedStop, index: int, stops: Sequence[Stop], guest: Guest
) -> Iterator[Mismatch]:
    stop = stops[index]
    if expected.pc != stop.pc:
        wanted, found = guest.name(expected.pc), guest.name(stop.pc)
        passing = past_stop(stops, index)
        yield _difference("pc", wanted, found, expected.span, index, stop, guest, passing)
    if expected.reason is not None and expected.reason != stop.reason:
        yield _difference("reason", expected.reason, stop.reason, expected.span, index, stop, guest)
    for check in expected.regs:
        if stop.regs.get(check.reg) != check.value:
            yield _register_difference(check, index, stop, guest)


def _register_difference(check: RegisterCheck, index: int, stop: Stop, guest: Guest) -> Mismatch:
    value = stop.regs.get(check.reg)
    found = "nothing: it was not observed" if value is None else f"{value:#x}"
    return _difference(check.reg, f"{check.value:#x}", found, check.span, index, stop, guest)


def _difference(
    field: str,
    wanted: str,
    found: str,
    span: Span,
    index: int,
    stop: Stop,
    guest: Guest,
    passing: tuple[str, ...] = (),
) -> Mismatch:
    return Mismatch(
        Kind.STOP,
        f"{field} of stop {index}: expected {wanted}, found {found}",
        span,
        exit=index,
        field=field,
        expected=wanted,
        found=found,
        place=guest.place(stop.pc),
        notes=(describe_stop(stop, guest), *passing),
    )

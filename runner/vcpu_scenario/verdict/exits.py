"""The exits: aligns those expected with those that came, and names what parts them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.expectation import Check, ExpectedExit, RegisterCheck
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Exit, observed
from vcpu_scenario.verdict import match
from vcpu_scenario.verdict.align import Alignment, Pair, align, came_next
from vcpu_scenario.verdict.consume import begins, matches
from vcpu_scenario.verdict.fitting import Fitting
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.passing import past_exit
from vcpu_scenario.verdict.records import Kind, Mismatch, Place
from vcpu_scenario.verdict.words import describe, masked_words, value_words

NO_FURTHER: Final = "no further exit came"


def describe_exit(exit_: Exit, guest: Guest) -> str:
    """An exit that came, in a few words."""
    fields = {"exit": exit_.exit, "errno": exit_.errno, "pc": exit_.pc, **exit_.fields}
    return describe(fields, guest.name)


def describe_expected(expected: ExpectedExit, guest: Guest) -> str:
    """An exit that was expected, as far as its checks say what it is."""
    fields: dict[str, Any] = {}
    for check in expected.checks:
        fields[check.field] = check.value
        if check.field == "hsr" and check.mask is not None:
            fields["hsr_mask"] = check.mask
    return describe(fields, guest.name)


def compare_exits(
    pattern: Sequence[ExpectedExit], exits: Sequence[Exit], guest: Guest, clause: Span
) -> Iterator[Mismatch]:
    """Yields what is missing, extra, out of order or different, in the order of the alignment.

    ``clause`` is the text to point at where there is no better one.
    """
    return _Comparison(pattern, exits, guest, clause).mismatches()


def can_begin(pattern: Sequence[ExpectedExit], exits: Sequence[Exit]) -> bool:
    """Whether ``exits`` fit ``pattern`` as far as they go; what would follow is left open."""
    return begins(pattern, len(exits), Fitting(pattern, exits, observed(exits)))


def compare_never(
    never: Sequence[ExpectedExit], exits: Sequence[Exit], guest: Guest
) -> Iterator[Mismatch]:
    """Yields the first exit that fits each of the exits that must not come."""
    fitting = Fitting(never, exits, observed(exits))
    for number, banned in enumerate(never):
        if came := fitting.all(number):
            first = (came & -came).bit_length() - 1
            exit_, more = exits[first], came.bit_count() - 1
            times = f" and {more} more" if more else ""
            yield Mismatch(
                Kind.NEVER,
                f"never expected: {describe_exit(exit_, guest)} came as exit {first}{times}",
                banned.span,
                exit=first,
                place=guest.place(exit_.pc),
            )


def too_long(what: str, alignment: Alignment, clause: Span) -> Mismatch:
    """Says that what was expected of exits, or of stops, is not what came, and that not all of
    what parts the two is named."""
    last = max((pair.actual for pair in alignment.pairs if pair.actual is not None), default=-1)
    return Mismatch(
        Kind.TOO_LONG,
        f"the {what} are not those expected, and too many to name all that parts them",
        clause,
        notes=(f"compared in detail up to {what[:-1]} {last}",),
    )


def _said(item: ExpectedExit) -> Hashable:
    """What an exit must be to fit."""
    checks = ((check.field, check.value, check.mask) for check in item.checks)
    return item.kind, *checks, *((reg.reg, reg.value) for reg in item.regs)


class _Comparison:
    def __init__(
        self,
        pattern: Sequence[ExpectedExit],
        exits: Sequence[Exit],
        guest: Guest,
        clause: Span,
    ) -> None:
        self.pattern = pattern
        self.exits = exits
        self.guest = guest
        self.clause = clause
        self.states = observed(exits)
        first: dict[Hashable, int] = {}
        self._like = [first.setdefault(_said(item), n) for n, item in enumerate(pattern)]
        """The first item that says the same as each."""
        self._costs: dict[tuple[int, int], int] = {}

    def cost(self, expected: int, actual: int) -> int:
        key = (self._like[expected], actual)
        known = self._costs.get(key)
        if known is None:
            known = match.cost(self.pattern[expected], self.exits[actual], self.states[actual])
            self._costs[key] = known
        return known

    def mismatches(self) -> Iterator[Mismatch]:
        count, fits = len(self.exits), Fitting(self.pattern, self.exits, self.states)
        if matches(self.pattern, count, fits):
            return
        alignment = align(self.pattern, count, self.cost, fits)
        named = list(self._named(alignment))
        yield from named
        if alignment.cut or not named:
            yield too_long("exits", alignment, self.clause)

    def _named(self, alignment: Alignment) -> Iterator[Mismatch]:
        swapped = self._swapped(alignment.pairs)
        instead = came_next(alignment.pairs)
        moved = set(swapped.values())
        for key, run in groupby(enumerate(alignment.pairs), lambda entry: _run_key(entry[1])):
            entries = list(run)
            if key is not None:
                gone = [at for at, _ in entries if at not in swapped]
                yield from (
                    self._moved(alignment.pairs, at, swapped[at])
                    for at, _ in entries
                    if at in swapped
                )
                if gone:
                    yield self._missing(alignment.pairs[gone[-1]], instead[gone[-1]], len(gone))
                continue
            for at, pair in entries:
                if pair.expected is None:
                    if at not in moved:
                        yield self._extra(pair)
                elif pair.actual is not None:
                    yield from self._differences(pair.expected, pair.actual)

    def _swapped(self, pairs: Sequence[Pair]) -> Mapping[int, int]:
        """Which missing pair came elsewhere: its position to that of the extra that fits it."""
        extras = [at for at, pair in enumerate(pairs) if pair.expected is None]
        out: dict[int, int] = {}
        for at, pair in enumerate(pairs):
            if pair.actual is not None or pair.expected is None or not self._is_specific(pair):
                continue
            for extra in sorted(extras, key=lambda other: abs(other - at)):
                actual = pairs[extra].actual
                if actual is not None and self.cost(pair.expected, actual) == 0:
                    out[at] = extra
                    extras.remove(extra)
                    break
        return out

    def _is_specific(self, pair: Pair) -> bool:
        # An expectation that fits anything did not "come elsewhere".
        return pair.expected is not None and bool(self.pattern[pair.expected].checks)

    def _missing(self, pair: Pair, instead: int | None, times: int) -> Mismatch:
        assert pair.expected is not None
        expected = self.pattern[pair.expected]
        what = describe_expected(expected, self.guest)
        if times > 1:
            what = f"{times} of {expected.least} times {what}"
        if instead is None:
            notes: tuple[str, ...] = (NO_FURTHER,)
        else:
            came = self.exits[instead]
            notes = (
                f"exit {instead} came next: {describe_exit(came, self.guest)}",
                *past_exit(self.exits, instead),
            )
        place = _expected_place(expected, self.guest)
        return Mismatch(Kind.MISSING, f"missing: {what}", expected.span, place=place, notes=notes)

    def _extra(self, pair: Pair) -> Mismatch:
        assert pair.actual is not None
        exit_ = self.exits[pair.actual]
        if pair.before < len(self.pattern):
            due = self.pattern[pair.before]
            span = due.span
            notes = (f"expected here: {describe_expected(due, self.guest)}",)
        else:
            span = self.pattern[-1].span if self.pattern else self.clause
            notes = ("nothing more was expected",)
        return Mismatch(
            Kind.EXTRA,
            f"extra: {describe_exit(exit_, self.guest)} came as exit {pair.actual}",
            span,
            exit=pair.actual,
            place=self.guest.place(exit_.pc),
            notes=notes,
        )

    def _moved(self, pairs: Sequence[Pair], at: int, extra: int) -> Mismatch:
        index, actual = pairs[at].expected, pairs[extra].actual
        assert index is not None
        assert actual is not None
        exit_ = self.exits[actual]
        when = "earlier" if extra < at else "later"
        return Mismatch(
            Kind.OUT_OF_ORDER,
            f"out of order: {describe_exit(exit_, self.guest)} came as exit {actual},"
            f" {when} than expected",
            self.pattern[index].span,
            exit=actual,
            place=self.guest.place(exit_.pc),
        )

    def _differences(self, expected: int, actual: int) -> Iterator[Mismatch]:
        if self.cost(expected, actual) == 0:
            return
        exit_ = self.exits[actual]
        for failure in match.failures(self.pattern[expected], exit_, self.states[actual]):
            yield self._difference(failure, actual, exit_)

    def _difference(self, failure: match.Failure, actual: int, exit_: Exit) -> Mismatch:
        check = failure.check
        if isinstance(check, RegisterCheck):
            return self._register_difference(check, failure.found, actual, exit_)
        wanted, found = self._both(check, failure.found)
        return Mismatch(
            Kind.FIELD,
            f"field {check.field}: expected {wanted}, found {found}",
            check.span,
            exit=actual,
            field=check.field,
            expected=wanted,
            found=found,
            place=self.guest.place(exit_.pc),
            notes=(
                f"in exit {actual}: {describe_exit(exit_, self.guest)}",
                *_number_of_brk(check, exit_, self.guest),
            ),
        )

    def _register_difference(
        self, check: RegisterCheck, found: int | None, actual: int, exit_: Exit
    ) -> Mismatch:
        shown = "nothing: it was not observed" if found is None else f"{found:#x}"
        return Mismatch(
            Kind.REGISTER,
            f"register {check.reg}: expected {check.value:#x}, found {shown}",
            check.span,
            exit=actual,
            field=check.reg,
            expected=f"{check.value:#x}",
            found=shown,
            place=self.guest.place(exit_.pc),
            notes=(f"after exit {actual}: {describe_exit(exit_, self.guest)}",),
        )

    def _both(self, check: Check, found: Any) -> tuple[str, str]:
        name = self.guest.name
        shown = value_words(check.field, match.found_value(check, found), name)
        if check.mask is not None and isinstance(check.value, int):
            return f"{masked_words(check.field, check.value, check.mask)}", shown
        return value_words(check.field, check.value, name), shown


def _number_of_brk(check: Check, exit_: Exit, guest: Guest) -> tuple[str, ...]:
    """A note where a BRK is expected at an address that is the number in the one that came."""
    hsr = exit_.fields.get("hsr", 0)
    is_brk = exit_.exit == "DEBUG" and hsr >> 26 == esr.EC_BRK64
    if check.field != "pc" or not is_brk or check.value != hsr & esr.BRK_IMMEDIATE:
        return ()
    where, number = guest.name(exit_.pc), hsr & esr.BRK_IMMEDIATE
    return (f"`brk` is the address of a BRK, and `imm` its number: brk: {where}, imm: {number}",)


def _run_key(pair: Pair) -> int | None:
    """Missing repeats of one item belong together; everything else stands alone."""
    return pair.expected if pair.actual is None else None


def _expected_place(expected: ExpectedExit, guest: Guest) -> Place | None:
    for check in expected.checks:
        if check.field == "pc" and isinstance(check.value, int):
            return guest.place(check.value)
    return None

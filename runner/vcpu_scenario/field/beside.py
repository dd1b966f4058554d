"""A trace from the field beside the model: the run of a scenario compared with its exits.

What the trace shows is expected, field by field with the line that shows it; what it does not show
is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.arm64.esr import EC_MASK
from vcpu_scenario.expectation import Check, Expectation, ExpectedExit
from vcpu_scenario.field.records import UNSHOWN, Fact, FieldTrace, Seen
from vcpu_scenario.kernels.table import kernel as known
from vcpu_scenario.kvm.errnos import ERRNOS, errno_name
from vcpu_scenario.running.causes import explained
from vcpu_scenario.running.targets import Emulated, Skipped
from vcpu_scenario.trace import Exit, Trace
from vcpu_scenario.verdict.exits import compare_exits
from vcpu_scenario.verdict.records import Kind, Mismatch
from vcpu_scenario.verdict.result import Result, Verdict, guest_of
from vcpu_scenario.verdict.words import ENTRY_PC, EXIT_PC

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase

MOST: Final = 10_000
"""Exits that are compared at most."""


class Beside(Struct, frozen=True):
    """What became of one case beside the trace.

    ``mismatch`` is the first place where the two part; None where they do not in the ``compared``
    first exits of the trace. ``left_out`` says why the model was not run, or not to the end;
    ``more`` counts the exits that the model gives behind the end of the trace, where the scenario
    is not through there.
    """

    case: ScenarioCase
    compared: int
    mismatch: Mismatch | None = None
    left_out: str = ""
    more: int = 0

    @property
    def agrees(self) -> bool:
        """Whether the model gives all that was compared, and the trace all of the scenario."""
        return self.as_far_as_it_goes and not self.more

    @property
    def as_far_as_it_goes(self) -> bool:
        """Whether nothing in the trace is otherwise."""
        return self.mismatch is None and not self.left_out and self.compared > 0


def beside(field: FieldTrace, case: ScenarioCase) -> Beside:
    """Runs ``case`` as its kernel and holds the run to ``field``."""
    seen = field.exits[:MOST]
    pattern = tuple(map(_expected, seen))
    limits = replace(case.case.limits, exits=max(len(seen), case.case.limits.exits))
    asked = replace(
        case,
        case=replace(case.case, limits=limits),
        expectation=Expectation(seen[0].span, exits=pattern),
    )
    if case.case.missing:
        return Beside(case, 0, left_out=case.case.missing)
    found = Emulated().run(asked.case, case.kernel)
    if not isinstance(found, Trace):
        reason = found.reason if isinstance(found, Skipped) else "the machine was lost"
        return Beside(case, 0, left_out=reason)
    result = _judged(asked, found)
    if result.mismatches:
        return Beside(case, len(seen), explained(result, _judged).mismatches[0])
    came = sum(1 for _ in returns(found, case.kernel))
    through = _is_through(case, found, len(seen))
    if found.unmodelled is not None and came <= len(seen) and not through:
        return Beside(case, came, left_out=str(found.unmodelled))
    more = 0 if through else max(0, came - len(seen))
    return Beside(case, min(came, len(seen)), more=more)


def _is_through(case: ScenarioCase, trace: Trace, count: int) -> bool:
    """Whether the first ``count`` returns have all exits that the scenario expects, so that none
    need follow."""
    expectation = case.expectation
    if expectation is None or expectation.exits is None:
        return False
    known = sum(entry.exit is not None for entry in trace.entries[:count])
    came = trace.exits[: known if trace.entries else count]
    return not any(compare_exits(expectation.exits, came, guest_of(case), expectation.span))


def _judged(case: ScenarioCase, trace: Trace) -> Result:
    """The result with the first mismatch alone: what comes behind it follows from it."""
    expectation = case.expectation
    assert expectation is not None
    assert expectation.exits is not None
    if trace.error is not None:
        refused = errno_name(trace.errno) if trace.errno else trace.error
        what = f"the set-up is refused ({refused}), and the trace has exits"
        first: tuple[Mismatch, ...] = (Mismatch(Kind.REFUSED, what, expectation.span),)
    else:
        first = _first(expectation.exits, trace, case)
    return Result(case, Verdict.FAIL if first else Verdict.PASS, trace, mismatches=first)


def _first(
    pattern: Sequence[ExpectedExit], trace: Trace, case: ScenarioCase
) -> tuple[Mismatch, ...]:
    came = list(returns(trace, case.kernel))[: len(pattern)]
    if len(came) < len(pattern) and (trace.unmodelled is not None or trace.ended.is_cut):
        pattern = pattern[: len(came)]
    if not pattern:
        return ()
    mismatches = compare_exits(pattern, came, guest_of(case), pattern[0].span)
    return tuple(islice(mismatches, 1))


def returns(trace: Trace, kernel: str) -> Iterator[Exit]:
    """Every return of KVM_RUN, also those that the VMM keeps to itself, with the pc that kvm_entry
    and kvm_exit trace on ``kernel`` among the fields."""
    # kvm_entry comes before the entry, in which later kernels move pc past what was emulated.
    behaviour = known(kernel).behaviour
    moved_later = behaviour.pc_adjusted_at_entry
    untraced = behaviour.first_run_refused_untraced
    if not trace.entries:
        yield from trace.exits
        return
    ran = set[int]()
    for entry in trace.entries:
        if entry.exit is None:
            yield Exit("INTR", -1, ERRNOS["EINTR"], entry.pc, {}, {})
            continue
        if entry.exit >= len(trace.exits):
            return  # it was cut in this one
        exit_, inside = trace.exits[entry.exit], entry.inside
        if inside is None:
            yield exit_
            continue
        entered, vcpu = inside.entered, exit_.fields.get("vcpu", 0)
        if entered is not None:
            # One that is switched on is reset ahead of kvm_entry.
            entered = entry.pc if moved_later and (vcpu in ran or not vcpu) else entered
            ran.add(vcpu)
        elif untraced and exit_.errno not in (0, ERRNOS["EINTR"]) and vcpu not in ran:
            continue
        places = {ENTRY_PC: entered, EXIT_PC: inside.left}
        yield replace(exit_, fields={**exit_.fields, **places})


def _expected(seen: Seen) -> ExpectedExit:
    kind = "error" if seen.errno else "debug" if seen.exit == "DEBUG" else "any"
    return ExpectedExit(kind, tuple(_checks(seen)), (), seen.span)


def _checks(seen: Seen) -> Iterator[Check]:
    if seen.errno == UNSHOWN:
        yield Check("ret", -1, "", seen.span)
        return
    if seen.errno:
        yield Check("errno", seen.errno, errno_name(seen.errno), seen.span)
        return
    yield Check("ret", 0, "", seen.span)
    if seen.exit:
        yield Check("exit", seen.exit, seen.exit, seen.span)
    of_kind = _SHOWN.get(seen.exit, {})
    for name, fact in seen.facts.items():
        if (check := {**_PLACES, **of_kind}.get(name)) is not None:
            yield check(fact, seen)


def _same(field: str) -> Callable[[Fact, Seen], Check]:
    return lambda fact, _: Check(field, fact.value, "", fact.span)


def _data(fact: Fact, seen: Seen) -> Check:
    length = min(max(seen.facts["len"].value, 1), 8)
    value = fact.value & (1 << 8 * length) - 1
    return Check("data", value.to_bytes(length, "little"), "", fact.span)


def _class(fact: Fact, _: Seen) -> Check:
    return Check("hsr", fact.value, "", fact.span, EC_MASK)


_Shown = Mapping[str, Callable[[Fact, Seen], Check]]

_PLACES: Final[_Shown] = {"entered": _same(ENTRY_PC), "left": _same(EXIT_PC)}
_SHOWN: Final[Mapping[str, _Shown]] = {
    "MMIO": {name: _same(name) for name in ("is_write", "addr", "len")} | {"data": _data},
    "DEBUG": {"hsr": _class, "left": _same("pc")},
    "ARM_NISV": {"iss": _same("iss"), "ipa": _same("ipa")},
    "SYSTEM_EVENT": {"type": _same("type")},
    "HYPERCALL": {"nr": _same("nr")},
}
"""By exit: the fields that a trace shows of it, under the names that they have there."""

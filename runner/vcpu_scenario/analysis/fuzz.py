"""Differential fuzzing: random programs on a real kernel and on the emulated machine as it.

A program that spins (that the emulated machine cuts off at its limit of instructions) is compared
up to there: where real KVM cuts it off is the clock's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.analysis.shrink import shrunk
from vcpu_scenario.case import Action, Case, HostInterrupt, ImmediateExit
from vcpu_scenario.running.targets import Lost, Skipped, Target
from vcpu_scenario.trace import Trace, Unmodelled
from vcpu_scenario.verdict.traces import Comparison, Difference, compare_traces

State: TypeAlias = Literal["same", "differs", "lost", "skipped"]

SECONDS: Final = 0.1
"""What a ``KVM_RUN`` may take on the real kernel: programs that spin are cut off before."""


class Outcome(Struct, frozen=True):
    """What became of the program of ``seed``.

    ``kind`` groups differences, and is the reason where a program was skipped. ``case`` is the
    smallest case found that differs in the same way, ``emulated`` and ``real`` its two traces;
    they are None where there is nothing to show, ``real`` also where the kernel was lost.
    """

    seed: int
    state: State
    kind: str = ""
    case: Case | None = None
    emulated: Trace | None = None
    real: Trace | None = None
    console: str = ""


def attempt(seed: int, case: Case, real: Target, emulated: Target, *, shrink: bool) -> Outcome:
    """Run ``case`` on both machines; ``real`` has a kernel of its own, which both are."""
    kernel = real.kernel or ""
    case = replace(case, limits=replace(case.limits, seconds=SECONDS))
    expected = _run(case, emulated, kernel)
    if not isinstance(expected, Trace):
        return Outcome(seed, "skipped", "the emulated machine cannot run it", case)
    if expected.unmodelled is not None:
        return Outcome(seed, "skipped", _name_of(expected.unmodelled), case, expected)
    if (until := _spins_at(case, expected)) is not None:
        if not until:
            return Outcome(seed, "skipped", "spins before its first exit")
        case = replace(case, limits=replace(case.limits, exits=until))
        expected = _run(case, emulated, kernel)
    found = real.run(case, kernel)
    if isinstance(found, Lost):
        trace = expected if isinstance(expected, Trace) else None
        return Outcome(seed, "lost", f"lost: {found.reason}", case, trace, None, found.console)
    if isinstance(found, Skipped) or not isinstance(expected, Trace):
        return Outcome(seed, "skipped", found.reason if isinstance(found, Skipped) else "")
    comparison = compare_traces(expected, found)
    if comparison.same:
        return Outcome(seed, "same")
    if _interrupted_somewhere(case, emulated, found, comparison, kernel):
        return Outcome(seed, "skipped", "the same with a host interrupt between two entries")
    kind = kind_of(comparison.differences[0])
    if not shrink:
        return Outcome(seed, "differs", kind, case, expected, found)
    return _smallest(seed, kind, case, real, emulated, (expected, found))


def _name_of(limit: Unmodelled) -> str:
    """What is not modelled, without the value that this program gave it."""
    return str(limit).partition(" (")[0]


def kind_of(difference: Difference) -> str:
    """What programs that differ alike have in common: no index, address or value."""
    what = difference.field
    if difference.at != "exit":
        what = "" if difference.at in ("eventfd", "ring", "memory") else what
        values = f": {difference.one}, not {difference.other}" if difference.at == "end" else ""
        if difference.at == "set-up":
            values = f": {difference.one or 'runs'}, not {difference.other or 'runs'}"
        return f"{difference.at} {what}".strip() + values
    if what:
        return f"exit: {what}"
    side, values_ = (
        ("emulated", difference.one) if difference.exits[1] is None else ("real", difference.other)
    )
    return f"exit: only {side}: {values_.get('exit')}{' (failed)' if values_.get('ret') else ''}"


def _run(case: Case, emulated: Target, kernel: str) -> Trace | None:
    found = emulated.run(case, kernel)
    return found if isinstance(found, Trace) else None


def _spins_at(case: Case, trace: Trace) -> int | None:
    """The first exit that is no exit of the guest's but its end at the limit of instructions."""
    asked = {index + 1 for index, actions in case.on if _asks(actions)}
    if _asks(case.before):
        asked.add(0)
    for index, exit_ in enumerate(trace.exits):
        if exit_.errno == _EINTR and index not in asked:
            return index
    return None


_EINTR: Final = 4


def _asks(actions: tuple[Action, ...]) -> bool:
    return any(isinstance(action, ImmediateExit) for action in actions)


def _interrupted_somewhere(
    case: Case, emulated: Target, found: Trace, comparison: Comparison, kernel: str
) -> bool:
    """Whether the emulated machine gives the same with one host interrupt, where that loses a
    step: on real kernels up to 6.0 one may come at any time."""
    from vcpu_scenario.kernels.table import kernel as row

    at = comparison.differences[0].exits
    if not row(kernel).loses_steps or at == (None, None):
        return False
    last = min(index for index in at if index is not None)
    for index in range(max(last - 2, -1), last):
        on = dict(case.on)
        before = case.before
        if index < 0:
            before = (*before, HostInterrupt())
        else:
            on[index] = (*on.get(index, ()), HostInterrupt())
        again = _run(replace(case, before=before, on=tuple(on.items())), emulated, kernel)
        if again is not None and compare_traces(again, found).same:
            return True
    return False


def _smallest(
    seed: int, kind: str, case: Case, real: Target, emulated: Target, traces: tuple[Trace, Trace]
) -> Outcome:
    kernel = real.kernel or ""
    best = traces

    def still(candidate: Case) -> bool:
        nonlocal best
        expected = _run(candidate, emulated, kernel)
        if expected is None or expected.unmodelled is not None:
            return False
        if _spins_at(candidate, expected) is not None:
            return False
        found = real.run(candidate, kernel)
        if not isinstance(found, Trace):
            return False
        comparison = compare_traces(expected, found)
        if comparison.same or kind_of(comparison.differences[0]) != kind:
            return False
        best = expected, found
        return True

    small = shrunk(case, still, exits=max(map(len, (traces[0].exits, traces[1].exits))))
    return Outcome(seed, "differs", kind, small, *best)


Generate: TypeAlias = Callable[[int], Case]


_MOST_SHRUNK: Final = 3
"""Programs of each kind of difference that a process shrinks."""


def attempts(
    generate: Generate, seeds: range, real: Target, emulated: Target
) -> Callable[[int], Outcome]:
    """What to do with the program of the n-th of ``seeds``."""
    shrunken: dict[str, int] = {}

    def work(number: int) -> Outcome:
        seed = seeds[number]
        outcome = attempt(seed, generate(seed), real, emulated, shrink=False)
        if outcome.state != "differs" or shrunken.get(outcome.kind, 0) >= _MOST_SHRUNK:
            return outcome
        shrunken[outcome.kind] = shrunken.get(outcome.kind, 0) + 1
        assert outcome.case is not None
        assert outcome.emulated is not None
        assert outcome.real is not None
        traces = outcome.emulated, outcome.real
        return _smallest(seed, outcome.kind, outcome.case, real, emulated, traces)

    return work


def by_kind(outcomes: list[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    """Differences and lost kernels by kind, the most frequent first."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.state in ("differs", "lost"):
            kinds.setdefault(outcome.kind, []).append(outcome)
    yield from sorted(kinds.items(), key=lambda item: -len(item[1]))
